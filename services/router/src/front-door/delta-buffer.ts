// Deltas of one event-loop tick (or of a pause), combined per choice in order of first arrival.
import type { DeltaEvent } from './request-group.ts'

function combine(first: DeltaEvent, next: DeltaEvent): DeltaEvent {
  return {
    kind: 'delta',
    index: first.index,
    text: first.text + next.text,
    tokenIds: [...first.tokenIds, ...next.tokenIds],
    logprobs: first.logprobs === null ? next.logprobs : [...first.logprobs, ...(next.logprobs ?? [])],
    finish: next.finish,
    stopReason: next.stopReason,
  }
}

export class DeltaBuffer {
  /** Choice index to what waits for it. */
  readonly #waiting: (DeltaEvent | undefined)[] = []
  #order: number[] = []

  add(index: number, event: DeltaEvent): void {
    const waiting = this.#waiting[index]
    if (waiting === undefined) this.#order.push(index)
    this.#waiting[index] = waiting === undefined ? event : combine(waiting, event)
  }

  get isEmpty(): boolean {
    return this.#order.length === 0
  }

  /** Hands every waiting delta to `take`, once, and forgets it. `isLast` marks the last one. */
  drain(take: (index: number, event: DeltaEvent, isLast: boolean) => void): void {
    const order = this.#order
    this.#order = []
    for (const [position, index] of order.entries()) {
      const event = this.#waiting[index]
      this.#waiting[index] = undefined
      if (event !== undefined) take(index, event, position === order.length - 1)
    }
  }
}
