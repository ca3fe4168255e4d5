// How a shell performs effects: one port per kind, holding its limit and its handler.
import { RubatoError } from '@rubato/config'
import type { Effect, EffectFailure, Outcome } from './actor.ts'

/** One effect under way, as its handler sees it. */
export interface EffectRun {
  /** Aborted when the effect is cancelled or the actor stops. Created when first read. */
  readonly signal: AbortSignal
  /** Calls back once on abort, at once when already aborted: `signal` without its cost. */
  onAbort(listener: () => void): void
  /**
   * Settles the run. Every handler settles exactly once, also after an abort: until then the run holds a slot of its
   * kind's limit. A second call is ignored, and after an abort the outcome is dropped.
   */
  complete(outcome: Outcome): void
}

export interface EffectPort<E extends Effect = Effect> {
  /** Effects of this kind that may be unsettled at a time; more are rejected. */
  readonly limit: number
  /** Starts the effect; may settle it before returning or later. A throw settles it as failed. */
  perform(effect: E, run: EffectRun): void
}

/** Ports by effect kind. `cancel` is the host's own. */
export type EffectTable = Readonly<Record<string, EffectPort>>

/** Time as a shell gives it: real or virtual. */
export interface Scheduler {
  /** Monotonic milliseconds. */
  nowMs(): number
  /** Runs the callback once, no earlier than delayMs from now; 0: soon, but never within this call. Returns its cancel. */
  schedule(delayMs: number, callback: () => void): () => void
}

/** The outcome of an effect that has no value to report. */
export const DONE: Outcome = Object.freeze({ kind: 'done', value: undefined })
export const CANCELLED: Outcome = Object.freeze({ kind: 'cancelled' })

export function done(value: unknown): Outcome {
  return { kind: 'done', value }
}

/** What an exception tells an actor: a RubatoError keeps its code, anything else is `internal`. */
export function effectFailure(error: unknown): EffectFailure {
  if (error instanceof RubatoError) return { code: error.code, message: error.message, retryable: error.retryable }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error), retryable: false }
}

export function failed(error: unknown): Outcome {
  return { kind: 'failed', error: effectFailure(error) }
}
