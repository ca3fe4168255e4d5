// When to look after each waiting thing next: an indexed binary heap, so that a finished entry leaves no trace.
//
// 1. An entry is in the heap at most once; `heapIndex` is its place, or null outside.
// 2. No entry is due before its parent.

export interface Deadline {
  checkAtMs: number
  heapIndex: number | null
}

export class DeadlineHeap<T extends Deadline> {
  readonly #entries: T[] = []

  get size(): number {
    return this.#entries.length
  }

  /** The earliest entry. */
  peek(): T | undefined {
    return this.#entries[0]
  }

  /** Adds the entry, or moves it. */
  set(entry: T, checkAtMs: number): void {
    entry.checkAtMs = checkAtMs
    const index = entry.heapIndex ?? this.#entries.push(entry) - 1
    this.#place(entry, index)
  }

  remove(entry: T): void {
    const index = entry.heapIndex
    if (index === null) return
    entry.heapIndex = null
    const last = this.#entries.pop()
    if (last !== undefined && last !== entry) this.#place(last, index)
  }

  /** Throws when an invariant does not hold. */
  assertIntegrity(): void {
    for (const [index, entry] of this.#entries.entries()) {
      const parent = this.#entries[(index - 1) >> 1]
      if (entry.heapIndex !== index) throw new Error(`deadline heap: entry at ${index} thinks it is at ${entry.heapIndex}`)
      if (index > 0 && parent !== undefined && parent.checkAtMs > entry.checkAtMs) throw new Error(`deadline heap: ${index} is due before its parent`)
    }
  }

  #place(entry: T, from: number): void {
    let index = from
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#entries[parentIndex]!
      if (parent.checkAtMs <= entry.checkAtMs) break
      this.#put(parent, index)
      index = parentIndex
    }
    for (;;) {
      const child = this.#earlierChild(index)
      if (child === undefined || child.checkAtMs >= entry.checkAtMs) break
      const childIndex = child.heapIndex!
      this.#put(child, index)
      index = childIndex
    }
    this.#put(entry, index)
  }

  #earlierChild(index: number): T | undefined {
    const left = this.#entries[2 * index + 1]
    const right = this.#entries[2 * index + 2]
    if (left === undefined || right === undefined) return left
    return left.checkAtMs <= right.checkAtMs ? left : right
  }

  #put(entry: T, index: number): void {
    this.#entries[index] = entry
    entry.heapIndex = index
  }
}
