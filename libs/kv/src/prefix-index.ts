// Which block holds which hashed prefix. Knows nothing of reference counts.
//
// 1. A hash names at most one block and a block has at most one hash; both maps agree.
// 2. A block keeps its hash until it is evicted.

export class PrefixIndex {
  readonly #blockByHash = new Map<string, number>()
  readonly #hashes: (string | undefined)[]
  readonly #parentHashes: (string | undefined)[]

  constructor(numBlocks: number) {
    this.#hashes = Array.from({ length: numBlocks }, () => undefined)
    this.#parentHashes = Array.from({ length: numBlocks }, () => undefined)
  }

  get size(): number {
    return this.#blockByHash.size
  }

  has(blockId: number): boolean {
    return this.#hashes[blockId] !== undefined
  }

  /** Blocks of the longest run of known hashes from the first one on. */
  match(hashes: readonly string[]): number[] {
    const blockIds: number[] = []
    for (const hash of hashes) {
      const blockId = this.#blockByHash.get(hash)
      if (blockId === undefined) break
      blockIds.push(blockId)
    }
    return blockIds
  }

  /** False when another block already has this hash (it stays) or this block already has one. */
  insert(hash: string, parentHash: string, blockId: number): boolean {
    if (this.#blockByHash.has(hash) || this.has(blockId)) return false
    this.#blockByHash.set(hash, blockId)
    this.#hashes[blockId] = hash
    this.#parentHashes[blockId] = parentHash
    return true
  }

  /** The block before this one in its chain, if it is indexed. */
  parentOf(blockId: number): number | undefined {
    const parentHash = this.#parentHashes[blockId]
    return parentHash === undefined ? undefined : this.#blockByHash.get(parentHash)
  }

  remove(blockId: number): void {
    const hash = this.#hashes[blockId]
    if (hash === undefined) return
    this.#blockByHash.delete(hash)
    this.#hashes[blockId] = undefined
    this.#parentHashes[blockId] = undefined
  }

  /** Throws when the two maps disagree. O(blocks). */
  assertIntegrity(): void {
    for (const [hash, blockId] of this.#blockByHash) {
      if (this.#hashes[blockId] !== hash) throw new Error(`prefix index: hash ${hash} names block ${blockId}, which has ${this.#hashes[blockId]}`)
    }
    const numHashed = this.#hashes.filter((hash) => hash !== undefined).length
    if (numHashed !== this.#blockByHash.size) throw new Error(`prefix index: ${numHashed} hashed blocks but ${this.#blockByHash.size} hashes`)
  }
}
