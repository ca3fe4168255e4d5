// The serving process as the measuring one holds it.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { RubatoError } from '@rubato/config'
import type { FromServing, ToServing } from './serving-messages.ts'

export class ServingChild {
  readonly kvAddress: string
  readonly plainPort: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, { kvAddress, plainPort }: Extract<FromServing, { kind: 'ready' }>) {
    this.#child = child
    this.kvAddress = kvAddress
    this.plainPort = plainPort
  }

  /** Starts it with blocks of `maxBytes` in all. */
  static async start(maxBytes: number): Promise<ServingChild> {
    const child = fork(new URL('./serving-process.ts', import.meta.url), [String(maxBytes)], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    try {
      return new ServingChild(child, await answer(child, (message) => message.kind === 'ready'))
    } catch (error) {
      child.kill()
      throw error
    }
  }

  /** Resolves once the offer can be pulled. */
  async offer(offer: ToServing): Promise<void> {
    const offered = answer(this.#child, (message) => message.kind === 'offered' && message.token === offer.token)
    this.#child.send(offer)
    await offered
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.disconnect()
    await exited
  }
}

/** The first message that fits. Rejects when an offer failed or the process ended. */
function answer<T extends FromServing>(child: ChildProcess, fits: (message: FromServing) => boolean): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      child.off('message', onMessage).off('exit', onExit)
      finish()
    }
    const onMessage = (message: FromServing): void => {
      if (fits(message)) settle(() => resolve(message as T))
      else if (message.kind === 'failed') settle(() => reject(new RubatoError('bench', message.message)))
    }
    const onExit = (code: number | null): void => settle(() => reject(new RubatoError('bench', `the serving process ended with code ${code}`)))
    child.on('message', onMessage).on('exit', onExit)
  })
}
