// Effects whose handler is an async function: tokenising in a pool, a gRPC call, an engine step.
import { done, failed } from '@rubato/actor'
import type { Effect, EffectPort, Outcome } from '@rubato/actor'

export interface AsyncPortOptions<E extends Effect> {
  readonly limit: number
  /** Resolves with the value of `done`. A rejection becomes `failed`. Should give up when the signal aborts. */
  readonly perform: (effect: E, signal: AbortSignal) => Promise<unknown>
  /** How a rejection is told to the actor. Default: a RubatoError keeps its code, anything else is `internal`. */
  readonly onReject?: (error: unknown) => Outcome
}

export function asyncPort<E extends Effect>({ limit, perform, onReject = failed }: AsyncPortOptions<E>): EffectPort<E> {
  return {
    limit,
    perform(effect, run) {
      perform(effect, run.signal).then((value) => run.complete(done(value)), (error: unknown) => run.complete(onReject(error)))
    },
  }
}
