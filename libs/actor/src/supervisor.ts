// Supervision: a crashed actor is replaced by a new incarnation after a backoff, until it crashes too often.
//
// 1. At most one incarnation is alive; a message that arrives while none is goes nowhere.
// 2. No effect of a dead incarnation completes into the next one.
import type { Actor, Address, Incoming } from './actor.ts'
import type { EffectTable, Scheduler } from './effect-port.ts'
import { ActorHost } from './host.ts'

export interface RestartPolicy {
  /** Restarts allowed within windowMs; one crash more gives the actor up. 0: never restarted. */
  readonly maxRestarts: number
  readonly windowMs: number
  /** Wait before the first restart of a window; each further one waits backoffFactor times longer, up to maxBackoffMs. */
  readonly firstBackoffMs: number
  readonly backoffFactor: number
  readonly maxBackoffMs: number
}

export const NEVER_RESTART: RestartPolicy = { maxRestarts: 0, windowMs: 1, firstBackoffMs: 0, backoffFactor: 1, maxBackoffMs: 0 }

export type SupervisionEvent =
  | { readonly kind: 'started'; readonly incarnation: number }
  | { readonly kind: 'crashed'; readonly incarnation: number; readonly error: unknown }
  | { readonly kind: 'restarting'; readonly incarnation: number; readonly delayMs: number }
  | { readonly kind: 'gave-up'; readonly incarnation: number; readonly error: unknown }
  | { readonly kind: 'stopped'; readonly incarnation: number }

/** What one incarnation consists of; both parts are made anew for the next. */
export interface Incarnation {
  readonly actor: Actor<unknown>
  readonly effects: EffectTable
}

/** Makes incarnation 1, 2, ... A throw counts as that incarnation's crash. */
export type IncarnationFactory = (incarnation: number) => Incarnation

export interface SuperviseOptions {
  readonly factory: IncarnationFactory
  readonly restart: RestartPolicy
  readonly scheduler: Scheduler
  readonly onEvent: (event: SupervisionEvent) => void
  readonly onIncoming?: (incoming: Incoming<unknown>) => void
}

export interface Supervised {
  /** Counts from 1. */
  readonly incarnation: number
  readonly numUnsettled: number
  deliver(from: Address, payload: unknown): void
  /** Ends it for good; onAllSettled as in ActorHost.stop. */
  stop(onAllSettled?: () => void): void
}

class Supervisor implements Supervised {
  readonly #options: SuperviseOptions
  #host: ActorHost | null = null
  #incarnation = 0
  #restartsMs: number[] = []
  #cancelRestart: (() => void) | null = null
  #isStopped = false

  constructor(options: SuperviseOptions) {
    this.#options = options
  }

  get incarnation(): number {
    return this.#incarnation
  }

  get numUnsettled(): number {
    return this.#host?.numUnsettled ?? 0
  }

  deliver(from: Address, payload: unknown): void {
    this.#host?.deliver(from, payload)
  }

  stop(onAllSettled?: () => void): void {
    if (!this.#isStopped) {
      this.#isStopped = true
      this.#cancelRestart?.()
      this.#cancelRestart = null
      this.#options.onEvent({ kind: 'stopped', incarnation: this.#incarnation })
    }
    if (this.#host !== null) this.#host.stop(onAllSettled)
    else onAllSettled?.()
  }

  begin(): void {
    this.#incarnation += 1
    this.#cancelRestart = null
    const incarnation = this.#incarnation
    const { factory, scheduler, onEvent, onIncoming } = this.#options
    const onCrash = (error: unknown): void => this.#crashed(incarnation, error)
    let parts: Incarnation
    try {
      parts = factory(incarnation)
    } catch (error) {
      onCrash(error)
      return
    }
    const host = new ActorHost({ ...parts, scheduler, onCrash, ...(onIncoming === undefined ? {} : { onIncoming }) })
    this.#host = host
    onEvent({ kind: 'started', incarnation })
    host.start()
  }

  #crashed(incarnation: number, error: unknown): void {
    const { restart, scheduler, onEvent } = this.#options
    onEvent({ kind: 'crashed', incarnation, error })
    if (this.#isStopped) return
    const nowMs = scheduler.nowMs()
    this.#restartsMs = this.#restartsMs.filter((atMs) => nowMs - atMs < restart.windowMs)
    if (this.#restartsMs.length >= restart.maxRestarts) {
      onEvent({ kind: 'gave-up', incarnation, error })
      return
    }
    const delayMs = Math.min(restart.maxBackoffMs, restart.firstBackoffMs * restart.backoffFactor ** this.#restartsMs.length)
    this.#restartsMs.push(nowMs)
    onEvent({ kind: 'restarting', incarnation: incarnation + 1, delayMs })
    this.#cancelRestart = scheduler.schedule(delayMs, () => this.begin())
  }
}

/** Starts the first incarnation and keeps the actor alive under the restart policy. onEvent must not throw. */
export function supervise(options: SuperviseOptions): Supervised {
  const supervisor = new Supervisor(options)
  supervisor.begin()
  return supervisor
}
