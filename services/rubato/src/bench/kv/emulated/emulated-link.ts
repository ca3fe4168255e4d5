// A link in virtual time: packets of all connections go through one queue, at its rate, and some get lost on their way.
import type { RandomStream } from '@rubato/sim'

export interface LinkConditions {
  readonly bytesPerSec: number
  readonly roundTripMs: number
  /** Of packets towards the receiver, 0 to 1. */
  readonly lossRatio: number
}

/** Of the queue: what the link carries in a round trip, and at least this. */
const LEAST_QUEUE_BYTES = 100 * 1500

export class EmulatedLink {
  readonly roundTripMs: number
  readonly #conditions: LinkConditions
  readonly #random: RandomStream
  readonly #queueBytes: number
  #freeAtMs = 0

  constructor(conditions: LinkConditions, random: RandomStream) {
    this.roundTripMs = conditions.roundTripMs
    this.#conditions = conditions
    this.#random = random
    this.#queueBytes = Math.max(LEAST_QUEUE_BYTES, (conditions.bytesPerSec * conditions.roundTripMs) / 1000)
  }

  /** Until a packet that comes now is on its way. */
  queueMs(nowMs: number): number {
    return Math.max(0, this.#freeAtMs - nowMs)
  }

  /** When the packet arrives; null: it is lost, or the queue was full. */
  carry(numBytes: number, nowMs: number): number | null {
    const { bytesPerSec, roundTripMs, lossRatio } = this.#conditions
    if ((this.queueMs(nowMs) * bytesPerSec) / 1000 > this.#queueBytes) return null
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + (numBytes / bytesPerSec) * 1000
    return this.#random.next() < lossRatio ? null : this.#freeAtMs + roundTripMs / 2
  }
}
