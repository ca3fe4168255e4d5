// The `timer` effect over a shell's scheduler.
import type { TimerEffect } from './actor.ts'
import { CANCELLED, DONE } from './effect-port.ts'
import type { EffectPort, Scheduler } from './effect-port.ts'

/** Completes with `done` after delayMs; a delay that is negative or not finite fails with `invalid_argument`. */
export function timerPort(scheduler: Scheduler, limit: number): EffectPort<TimerEffect> {
  return {
    limit,
    perform({ delayMs }, run) {
      if (!(delayMs >= 0 && Number.isFinite(delayMs))) {
        run.complete({ kind: 'failed', error: { code: 'invalid_argument', message: `timer delayMs ${delayMs}: must be finite and at least 0`, retryable: false } })
        return
      }
      const cancel = scheduler.schedule(delayMs, () => run.complete(DONE))
      run.onAbort(() => {
        cancel()
        run.complete(CANCELLED)
      })
    },
  }
}
