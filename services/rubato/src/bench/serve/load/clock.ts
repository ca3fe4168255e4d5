// Time as the load generator sees it, so that tests can hold it still.
import { setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Monotonic, milliseconds, any origin. */
  nowMs(): number
  /** Resolves at or after this time, in any case not before the event loop had a turn; or as soon as the signal aborts. */
  sleepUntil(atMs: number, signal: AbortSignal): Promise<void>
}

export const MONOTONIC_CLOCK: Clock = {
  nowMs: () => performance.now(),
  async sleepUntil(atMs, signal) {
    if (signal.aborted) return
    // A timer of t ms may fire up to 1 ms early by our clock: never send before the time.
    for (let leftMs = atMs - performance.now(); ; leftMs = atMs - performance.now()) {
      await delay(Math.max(Math.ceil(leftMs), 0), undefined, { signal }).catch(() => {})
      if (signal.aborted || atMs <= performance.now()) return
    }
  },
}
