// The live shell: hosts actors on a bus in real time, and stops them in an orderly way.
//
// 1. stop() ends every actor at once and waits for their handlers, but never longer than the limit.
// 2. Nothing is hosted after stop() was called.
import type { Address, Scheduler, Supervised } from '@rubato/actor'
import { hostOnBus } from '@rubato/bus'
import type { Bus, HostedActorOptions } from '@rubato/bus'
import { RubatoError } from '@rubato/config'
import { LiveScheduler } from './live-scheduler.ts'

export interface LiveShellOptions {
  readonly bus: Bus
  /** Default: real time. */
  readonly scheduler?: Scheduler
  /** How long stop() waits for handlers to settle. Default 5000. */
  readonly stopTimeoutMs?: number
}

export interface StopReport {
  /** Handlers that had not settled when the limit was reached; 0 after an orderly stop. */
  readonly numUnsettled: number
}

export interface LiveActor {
  readonly address: Address
  /** Incarnation, counted from 1. */
  readonly incarnation: number
  /** Hands it a message at once, past the bus: for callers in this process that are not actors. */
  deliver(from: Address, payload: unknown): void
  /** Sends a message in its name. */
  send(to: Address, payload: unknown): void
  /** Aborts its effects and waits for their handlers. Idempotent. */
  stop(): Promise<StopReport>
}

export class LiveShell {
  readonly scheduler: Scheduler
  readonly bus: Bus
  readonly #stopTimeoutMs: number
  readonly #actors = new Set<LiveActor>()
  #isStopped = false

  constructor({ bus, scheduler = new LiveScheduler(), stopTimeoutMs = 5_000 }: LiveShellOptions) {
    this.bus = bus
    this.scheduler = scheduler
    this.#stopTimeoutMs = stopTimeoutMs
  }

  /** Hosts an actor and starts it. Throws RubatoError `address_taken`, or `shell_stopped` after stop(). */
  spawn(options: HostedActorOptions): LiveActor {
    if (this.#isStopped) throw new RubatoError('shell_stopped', `${options.address} cannot start: the shell was stopped`)
    const supervised = hostOnBus(options, { bus: this.bus, scheduler: this.scheduler })
    const actor: LiveActor = {
      address: options.address,
      get incarnation() {
        return supervised.incarnation
      },
      deliver: (from, payload) => supervised.deliver(from, payload),
      send: (to, payload) => void this.bus.send(options.address, to, payload),
      stop: () => {
        this.#actors.delete(actor)
        return this.#settled(supervised)
      },
    }
    this.#actors.add(actor)
    return actor
  }

  /** Stops every actor. Resolves once their handlers have settled or the limit is reached. */
  async stop(): Promise<StopReport> {
    this.#isStopped = true
    const reports = await Promise.all([...this.#actors].map((actor) => actor.stop()))
    return { numUnsettled: reports.reduce((sum, report) => sum + report.numUnsettled, 0) }
  }

  #settled(supervised: Supervised): Promise<StopReport> {
    const { promise, resolve } = Promise.withResolvers<StopReport>()
    const cancelLimit = this.scheduler.schedule(this.#stopTimeoutMs, () => resolve({ numUnsettled: supervised.numUnsettled }))
    supervised.stop(() => {
      cancelLimit()
      resolve({ numUnsettled: 0 })
    })
    return promise
  }
}
