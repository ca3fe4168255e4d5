// Block ids from least to most recently used: a circular doubly linked list in two typed arrays, O(1) throughout.
//
// 1. Entry `capacity` is the sentinel: next of it is the oldest, previous of it the newest.
// 2. An id that is not in the list links to itself.

export class EvictionList {
  readonly #sentinel: number
  readonly #next: Int32Array
  readonly #previous: Int32Array
  #size = 0

  /** Holds ids 0..capacity-1. */
  constructor(capacity: number) {
    this.#sentinel = capacity
    this.#next = Int32Array.from({ length: capacity + 1 }, (_, id) => id)
    this.#previous = Int32Array.from(this.#next)
  }

  get size(): number {
    return this.#size
  }

  /** Appends an id that is not in the list. */
  pushNewest(id: number): void {
    const newest = this.#previous[this.#sentinel]!
    this.#next[newest] = id
    this.#previous[id] = newest
    this.#next[id] = this.#sentinel
    this.#previous[this.#sentinel] = id
    this.#size++
  }

  /** Takes out an id that is in the list. */
  remove(id: number): void {
    const next = this.#next[id]!
    const previous = this.#previous[id]!
    this.#next[previous] = next
    this.#previous[next] = previous
    this.#next[id] = id
    this.#previous[id] = id
    this.#size--
  }

  /** undefined when empty. */
  oldest(): number | undefined {
    return this.#size === 0 ? undefined : this.#next[this.#sentinel]
  }

  /** Oldest first. O(size). */
  *[Symbol.iterator](): Generator<number> {
    for (let id = this.#next[this.#sentinel]!; id !== this.#sentinel; id = this.#next[id]!) yield id
  }
}
