// One effect between its start and its handler's settling: live -> settled, or live -> abandoned -> settled.
import type { Effect, Outcome } from './actor.ts'
import type { EffectPort, EffectRun } from './effect-port.ts'

/** A kind's port and how many of its effects are unsettled. */
export interface EffectSlot {
  readonly port: EffectPort
  numUnsettled: number
}

/** Called once per run; outcome is null when the run was abandoned. */
export type SettleListener = (run: RunningEffect, outcome: Outcome | null) => void

export class RunningEffect implements EffectRun {
  readonly effect: Effect
  readonly slot: EffectSlot
  readonly #onSettled: SettleListener
  #phase: 'live' | 'abandoned' | 'settled' = 'live'
  #controller: AbortController | null = null
  #abortListener: (() => void) | null = null
  #wasAborted = false

  constructor(effect: Effect, slot: EffectSlot, onSettled: SettleListener) {
    this.effect = effect
    this.slot = slot
    this.#onSettled = onSettled
  }

  get isSettled(): boolean {
    return this.#phase === 'settled'
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#wasAborted) this.#controller.abort()
    }
    return this.#controller.signal
  }

  onAbort(listener: () => void): void {
    if (this.#wasAborted) listener()
    else this.#abortListener = listener
  }

  complete(outcome: Outcome): void {
    if (this.#phase === 'settled') return
    const wasLive = this.#phase === 'live'
    this.#phase = 'settled'
    this.#abortListener = null
    this.#onSettled(this, wasLive ? outcome : null)
  }

  /** Tells the handler to give up; whatever it completes with is dropped. No effect once settled. */
  abandon(): void {
    if (this.#phase !== 'live') return
    this.#phase = 'abandoned'
    this.#wasAborted = true
    this.#controller?.abort()
    this.#abortListener?.()
    this.#abortListener = null
  }
}
