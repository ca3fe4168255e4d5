// Requests at the door: those that passed every check and wait for a slot, and how fast slots become free.
//
// 1. Lower priority number first, then first come first served.
// 2. Its length is bounded by the caller; nothing is dropped here.
import { observeServiceRate } from '@rubato/policy'

/** Completions closer together than this are folded into one observation. */
const MIN_INTERVAL_MS = 100

export interface Queueable {
  readonly priority: number
  /** Rises with every submission. */
  readonly arrival: number
}

export class WaitingLine<T extends Queueable> {
  readonly #line: T[] = []

  get size(): number {
    return this.#line.length
  }

  push(item: T): void {
    let low = 0
    let high = this.#line.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (comesBefore(this.#line[middle]!, item)) low = middle + 1
      else high = middle
    }
    this.#line.splice(low, 0, item)
  }

  shift(): T | undefined {
    return this.#line.shift()
  }

  remove(item: T): boolean {
    const index = this.#line.indexOf(item)
    if (index < 0) return false
    this.#line.splice(index, 1)
    return true
  }
}

function comesBefore(a: Queueable, b: Queueable): boolean {
  return a.priority === b.priority ? a.arrival < b.arrival : a.priority < b.priority
}

/** Requests finished per second of late, for the hint that a refusal carries. */
export class ServiceRate {
  #ratePerSec: number | null = null
  #sinceMs: number
  #numSince = 0

  constructor(nowMs: number) {
    this.#sinceMs = nowMs
  }

  note(nowMs: number): void {
    this.#numSince += 1
    if (nowMs - this.#sinceMs < MIN_INTERVAL_MS) return
    this.#ratePerSec = this.perSec(nowMs)
    this.#sinceMs = nowMs
    this.#numSince = 0
  }

  /** null while none finished. */
  perSec(nowMs: number): number | null {
    const intervalMs = nowMs - this.#sinceMs
    return intervalMs <= 0 ? this.#ratePerSec : observeServiceRate(this.#ratePerSec, this.#numSince, intervalMs)
  }
}
