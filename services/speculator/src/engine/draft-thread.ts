// One thread that holds the draft model, from its start to its end.
//
// 1. A failed command or a dead thread ends it: every pending and later command rejects with `draft_engine_failed`.
import { Worker } from 'node:worker_threads'
import { RubatoError } from '@rubato/config'
import type { DraftModelOptions } from '@rubato/model/drafter'
import type { DraftCommand, DraftRun } from './draft-command.ts'
import type { FromDraftWorker, ToDraftWorker, WorkerFailure } from './draft-worker.ts'

interface Pending {
  readonly resolve: (run: DraftRun) => void
  readonly reject: (error: Error) => void
}

function toError({ code, message, field }: WorkerFailure): RubatoError {
  return new RubatoError(code, message, field === null ? {} : { field })
}

export class DraftThread {
  readonly numParameters: number
  /** Resolves once it is gone: null after close(). */
  readonly ended: Promise<Error | null>
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  readonly #end: (error: Error | null) => void
  #nextId = 1
  #isClosing = false
  #isOver = false

  private constructor(worker: Worker, numParameters: number) {
    this.numParameters = numParameters
    this.#worker = worker
    const { promise, resolve } = Promise.withResolvers<Error | null>()
    this.ended = promise
    this.#end = resolve
    worker.on('message', (message: FromDraftWorker) => this.#receive(message))
    worker.on('error', (error: Error) => this.#over(error))
    worker.on('exit', (code) => this.#over(new Error(`the draft model's thread ended with code ${code}`)))
  }

  /** Rejects with what opening the model throws. */
  static async open(options: DraftModelOptions): Promise<DraftThread> {
    const worker = new Worker(new URL('./draft-worker.ts', import.meta.url), { workerData: options, execArgv: [], name: 'rubato-draft' })
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const onMessage = (message: FromDraftWorker): void => {
      if (message.kind === 'ready') resolve(message.numParameters)
      else if (message.kind === 'refused') reject(toError(message.error))
    }
    const onExit = (code: number): void => reject(new RubatoError('draft_engine_failed', `the draft model's thread ended with code ${code} while loading`))
    worker.on('message', onMessage).once('error', reject).once('exit', onExit)
    const thread = new DraftThread(worker, await promise)
    worker.off('message', onMessage).off('error', reject).off('exit', onExit)
    return thread
  }

  run(command: DraftCommand): Promise<DraftRun> {
    if (this.#isOver || this.#isClosing) return Promise.reject(new RubatoError('draft_engine_failed', 'the draft model is closed'))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#post({ kind: 'run', id, command })
    })
  }

  async close(): Promise<void> {
    if (!this.#isClosing && !this.#isOver) this.#post({ kind: 'close' })
    this.#isClosing = true
    await this.ended
  }

  #post(message: ToDraftWorker): void {
    this.#worker.postMessage(message)
  }

  #receive(message: FromDraftWorker): void {
    if (message.kind === 'failed') return this.#over(toError(message.error))
    if (message.kind !== 'ran') return
    this.#pending.get(message.id)?.resolve(message.run)
    this.#pending.delete(message.id)
  }

  #over(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const { reject } of this.#pending.values()) reject(new RubatoError('draft_engine_failed', `the draft model is gone: ${error.message}`, { cause: error }))
    this.#pending.clear()
    this.#end(this.#isClosing ? null : error)
  }
}
