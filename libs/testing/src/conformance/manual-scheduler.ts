// A clock that moves when a test says so.
import type { Scheduler } from '@rubato/actor'

export interface ManualScheduler extends Scheduler {
  /** Moves the clock, running what falls due in order of time, then of scheduling. */
  advance(ms: number): void
  /** Callbacks waiting to run. */
  numPending(): number
}

export function manualScheduler(): ManualScheduler {
  let nowMs = 0
  let sequence = 0
  let pending: { readonly atMs: number; readonly sequence: number; readonly callback: () => void }[] = []
  return {
    nowMs: () => nowMs,
    numPending: () => pending.length,
    schedule(delayMs, callback) {
      sequence += 1
      const entry = { atMs: nowMs + delayMs, sequence, callback }
      pending.push(entry)
      return () => {
        pending = pending.filter((one) => one !== entry)
      }
    },
    advance(ms) {
      const untilMs = nowMs + ms
      for (;;) {
        const due = pending.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence)[0]
        if (due === undefined) break
        pending = pending.filter((one) => one !== due)
        nowMs = Math.max(nowMs, due.atMs)
        due.callback()
      }
      nowMs = untilMs
    },
  }
}
