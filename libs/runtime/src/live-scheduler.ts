// Real time: one platform timer for the earliest of all callbacks, so that they run in order of their due times
// however late the event loop is, and cancelling one costs no system call.
//
// 1. No callback runs before its due time by performance.now().
// 2. A callback scheduled by a callback runs in a later turn.
// 3. With nothing scheduled there is no platform timer, and the process may exit.
import { TimerQueue } from '@rubato/actor'
import type { Scheduler } from '@rubato/actor'

/** Longest wait of a platform timer (2^31 - 1 ms); later callbacks take several waits. */
const MAX_WAIT_MS = 2_147_483_647

export class LiveScheduler implements Scheduler {
  readonly #queue = new TimerQueue()
  #armedForMs: number | null = null
  #disarm: (() => void) | null = null

  nowMs(): number {
    return performance.now()
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const cancel = this.#queue.push(performance.now() + delayMs, callback)
    this.#arm()
    return () => {
      cancel()
      if (this.#queue.size === 0) this.#release()
    }
  }

  #release(): void {
    this.#disarm?.()
    this.#disarm = null
    this.#armedForMs = null
  }

  #arm(): void {
    const next = this.#queue.peek()
    if (next === null || (this.#armedForMs !== null && this.#armedForMs <= next.dueMs)) return
    this.#release()
    this.#armedForMs = next.dueMs
    const waitMs = Math.min(MAX_WAIT_MS, Math.ceil(next.dueMs - performance.now()))
    const wake = (): void => this.#wake()
    if (waitMs <= 0) {
      const immediate = setImmediate(wake)
      this.#disarm = () => clearImmediate(immediate)
    } else {
      const timer = setTimeout(wake, waitMs)
      this.#disarm = () => clearTimeout(timer)
    }
  }

  #wake(): void {
    this.#disarm = null
    this.#armedForMs = null
    const lastSequence = this.#queue.lastSequence
    const nowMs = performance.now()
    try {
      for (let next = this.#queue.peek(); next !== null && next.dueMs <= nowMs && next.sequence <= lastSequence; next = this.#queue.peek()) {
        this.#queue.pop()
        next.callback()
      }
    } finally {
      this.#arm()
    }
  }
}
