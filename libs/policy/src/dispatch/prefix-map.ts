// Which instances probably hold the KV of a prompt's leading chunks: what the router remembers of its own dispatches. An estimate:
// instances evict on their own, and a hash may collide.
//
// 1. At most maxEntries chunks are kept; the least recently recorded goes first.
// 2. A chunk is never evicted before the chunks that follow it in its prompt.
// 3. Every entry has at least one holder.

export interface PrefixMapOptions {
  /** Whole chunks count only; the cell size, because prefix hits round down to cells. */
  readonly chunkTokens: number
  readonly maxEntries: number
}

const LOW_FACTOR = 0x9e3779b1
const HIGH_FACTOR = 0x5f356495
const NO_OVERLAP: ReadonlyMap<string, number> = new Map()

export class PrefixMap {
  readonly #chunkTokens: number
  readonly #maxEntries: number
  /** Chunk key to the instances that hold it; iteration order is the eviction order. */
  readonly #holders = new Map<number, string[]>()
  /** Keys of the prompt at hand; grows, never shrinks. */
  #keys = new Float64Array(64)

  /** Throws RangeError unless both options are positive integers. */
  constructor({ chunkTokens, maxEntries }: PrefixMapOptions) {
    if (!Number.isInteger(chunkTokens) || chunkTokens < 1) throw new RangeError(`chunkTokens must be a positive integer, got ${chunkTokens}`)
    if (!Number.isInteger(maxEntries) || maxEntries < 1) throw new RangeError(`maxEntries must be a positive integer, got ${maxEntries}`)
    this.#chunkTokens = chunkTokens
    this.#maxEntries = maxEntries
  }

  /** Chunks kept. */
  get size(): number {
    return this.#holders.size
  }

  /** The instance will hold these tokens' KV: call it with what was dispatched there. O(tokens). */
  record(instanceId: string, tokenIds: readonly number[], cacheSalt: string): void {
    const numChunks = this.#hash(tokenIds, cacheSalt)
    const numKept = Math.min(numChunks, this.#maxEntries)
    // Last chunk first, so that it is older than the chunks it depends on.
    for (let index = numKept - 1; index >= 0; index -= 1) this.#touch(this.#keys[index]!, instanceId)
    this.#evict()
  }

  /** Leading tokens, in whole chunks, that each instance probably holds; instances that hold none are absent. O(tokens). */
  overlap(tokenIds: readonly number[], cacheSalt: string): ReadonlyMap<string, number> {
    if (this.#holders.size === 0) return NO_OVERLAP
    const numChunks = this.#hash(tokenIds, cacheSalt)
    const heldTokens = new Map<string, number>()
    for (let index = 0; index < numChunks; index += 1) {
      const holders = this.#holders.get(this.#keys[index]!)
      if (holders === undefined) break
      const beforeTokens = index * this.#chunkTokens
      for (const instanceId of holders) {
        if ((heldTokens.get(instanceId) ?? 0) === beforeTokens) heldTokens.set(instanceId, beforeTokens + this.#chunkTokens)
      }
    }
    return heldTokens
  }

  /** The instance is gone, and its KV with it. O(entries). */
  forget(instanceId: string): void {
    for (const [key, holders] of this.#holders) {
      const at = holders.indexOf(instanceId)
      if (at < 0) continue
      if (holders.length === 1) this.#holders.delete(key)
      else holders.splice(at, 1)
    }
  }

  #touch(key: number, instanceId: string): void {
    const holders = this.#holders.get(key)
    if (holders === undefined) {
      this.#holders.set(key, [instanceId])
      return
    }
    if (!holders.includes(instanceId)) holders.push(instanceId)
    this.#holders.delete(key)
    this.#holders.set(key, holders)
  }

  #evict(): void {
    for (const key of this.#holders.keys()) {
      if (this.#holders.size <= this.#maxEntries) return
      this.#holders.delete(key)
    }
  }

  /** Fills #keys with one 53-bit key per whole chunk, each over everything before it; returns how many. */
  #hash(tokenIds: readonly number[], cacheSalt: string): number {
    const numChunks = Math.floor(tokenIds.length / this.#chunkTokens)
    if (numChunks > this.#keys.length) this.#keys = new Float64Array(2 * numChunks)
    let low = 0x2545f491
    let high = 0x1b873593
    for (let index = 0; index < cacheSalt.length; index += 1) {
      const code = cacheSalt.charCodeAt(index)
      low = Math.imul(low ^ code, LOW_FACTOR)
      high = Math.imul(high ^ code, HIGH_FACTOR)
    }
    let position = 0
    for (let chunk = 0; chunk < numChunks; chunk += 1) {
      for (const end = position + this.#chunkTokens; position < end; position += 1) {
        const token = tokenIds[position]!
        low = Math.imul(low ^ token, LOW_FACTOR)
        high = Math.imul(high ^ token, HIGH_FACTOR)
      }
      // Products carry only upwards: bring the high bits of each half down into the other.
      low ^= high >>> 15
      high ^= low >>> 13
      this.#keys[chunk] = (high & 0x1fffff) * 0x1_0000_0000 + (low >>> 0)
    }
    return numChunks
  }
}
