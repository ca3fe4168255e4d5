// Callbacks in order of (due time, order of scheduling): a binary heap with lazy cancellation. Both shells keep time
// with it, so that equal schedules run in equal order in both.
//
// 1. Entries leave in order of dueMs, then of sequence; a cancelled entry never leaves.
// 2. At most half of the heap, or 64 entries, are cancelled ones.

export interface TimerEntry {
  readonly dueMs: number
  /** Rises with every push. */
  readonly sequence: number
  readonly callback: () => void
}

interface Slot extends TimerEntry {
  state: 'waiting' | 'cancelled' | 'gone'
}

const MIN_COMPACT = 64

function isBefore(a: Slot, b: Slot): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence)
}

export class TimerQueue {
  #heap: Slot[] = []
  #numCancelled = 0
  #lastSequence = 0

  /** Entries waiting, cancelled ones not counted. */
  get size(): number {
    return this.#heap.length - this.#numCancelled
  }

  /** The sequence of the newest entry; 0 before the first. */
  get lastSequence(): number {
    return this.#lastSequence
  }

  /** Adds a callback and returns its cancel, which is idempotent. */
  push(dueMs: number, callback: () => void): () => void {
    this.#lastSequence += 1
    const slot: Slot = { dueMs, sequence: this.#lastSequence, callback, state: 'waiting' }
    this.#heap.push(slot)
    this.#up(this.#heap.length - 1)
    return () => this.#cancel(slot)
  }

  /** The entry that leaves next. */
  peek(): TimerEntry | null {
    while (this.#heap[0]?.state === 'cancelled') {
      this.#removeTop()
      this.#numCancelled -= 1
    }
    return this.#heap[0] ?? null
  }

  pop(): TimerEntry | null {
    const top = this.peek()
    if (top === null) return null
    const slot = this.#heap[0]!
    slot.state = 'gone'
    this.#removeTop()
    return slot
  }

  #cancel(slot: Slot): void {
    if (slot.state !== 'waiting') return
    slot.state = 'cancelled'
    this.#numCancelled += 1
    if (this.#numCancelled <= MIN_COMPACT || this.#numCancelled * 2 <= this.#heap.length) return
    this.#heap = this.#heap.filter(({ state }) => state === 'waiting')
    this.#numCancelled = 0
    for (let index = (this.#heap.length >> 1) - 1; index >= 0; index--) this.#down(index)
  }

  #removeTop(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#down(0)
  }

  #up(start: number): void {
    const heap = this.#heap
    const slot = heap[start]!
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(slot, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = slot
  }

  #down(start: number): void {
    const heap = this.#heap
    const slot = heap[start]!
    let index = start
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (!isBefore(heap[child]!, slot)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = slot
  }
}
