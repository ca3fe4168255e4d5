// Reference-counted KV blocks with a prefix index. Owns ids only; contents belong to the engine.
//
// 1. Every block is in one state: free (never indexed), owned (refcount > 0), or cached (refcount 0 and indexed).
//    free + owned + cached = total.
// 2. A refcount is the number of block tables that hold the block.
// 3. Only cached blocks are evicted: least recently used first, but never one with a cached child.
// 4. Commands are O(1) amortised per block; assertIntegrity alone is O(total).
import { EvictionList } from './eviction-list.ts'
import { PrefixIndex } from './prefix-index.ts'

export interface BlockPoolOptions {
  /** False: nothing is ever indexed, so released blocks are free at once. */
  readonly enablePrefixCache: boolean
}

export type Allocation =
  | { readonly kind: 'allocated'; readonly blockIds: readonly number[] }
  | { readonly kind: 'rejected'; readonly reason: 'no_blocks' }

const FREE = 0
const OWNED = 1
const CACHED = 2

export class BlockPool {
  readonly numBlocks: number
  readonly #enablePrefixCache: boolean
  readonly #states: Uint8Array
  readonly #refCounts: Int32Array
  /** A stack: the first numFree entries are the free ids. */
  readonly #freeIds: Int32Array
  #numFree: number
  readonly #index: PrefixIndex
  readonly #cached: EvictionList
  /** Cached children per block. The last entry stands for "no parent", so that no id needs a special case. */
  readonly #numCachedChildren: Int32Array
  /** For a cached block, the parent whose count it is in. */
  readonly #countedUnder: Int32Array

  constructor(numBlocks: number, options: BlockPoolOptions) {
    this.numBlocks = numBlocks
    this.#enablePrefixCache = options.enablePrefixCache
    this.#states = new Uint8Array(numBlocks)
    this.#refCounts = new Int32Array(numBlocks)
    this.#freeIds = Int32Array.from({ length: numBlocks }, (_, place) => numBlocks - 1 - place)
    this.#numFree = numBlocks
    this.#index = new PrefixIndex(numBlocks)
    this.#cached = new EvictionList(numBlocks)
    this.#numCachedChildren = new Int32Array(numBlocks + 1)
    this.#countedUnder = new Int32Array(numBlocks).fill(numBlocks)
  }

  get freeBlocks(): number {
    return this.#numFree
  }

  get cachedBlocks(): number {
    return this.#cached.size
  }

  /** What allocate can give: free blocks plus cached ones, which it evicts. */
  get availableBlocks(): number {
    return this.#numFree + this.#cached.size
  }

  isCached(blockId: number): boolean {
    return this.#states[blockId] === CACHED
  }

  /** Takes `count` blocks with refcount 1, all or none. Free blocks go first, then cached ones by invariant 3. */
  allocate(count: number): Allocation {
    if (count > this.availableBlocks) return { kind: 'rejected', reason: 'no_blocks' }
    const blockIds: number[] = []
    for (let taken = 0; taken < count; taken++) {
      const blockId = this.#numFree > 0 ? this.#freeIds[--this.#numFree]! : this.#evict()
      this.#states[blockId] = OWNED
      this.#refCounts[blockId] = 1
      blockIds.push(blockId)
    }
    return { kind: 'allocated', blockIds }
  }

  /** One more table holds each of these owned or cached blocks. Throws on a free one. */
  share(blockIds: readonly number[]): void {
    for (const blockId of blockIds) {
      const state = this.#states[blockId]
      if (state !== OWNED && state !== CACHED) throw new Error(`share: block ${blockId} is free`)
      if (state === CACHED) this.#leaveCache(blockId)
      this.#states[blockId] = OWNED
      this.#refCounts[blockId]!++
    }
  }

  /**
   * One table fewer holds each of these. Give a table's blocks in order: the last is released first, so that the end of a chain
   * is evicted before its beginning. Throws on a block that nobody owns.
   */
  release(blockIds: readonly number[]): void {
    for (let place = blockIds.length - 1; place >= 0; place--) {
      const blockId = blockIds[place]!
      if (this.#states[blockId] !== OWNED) throw new Error(`release: block ${blockId} is not owned`)
      this.#refCounts[blockId]!--
      if (this.#refCounts[blockId]! > 0) continue
      if (this.#index.has(blockId)) this.#enterCache(blockId)
      else this.#free(blockId)
    }
  }

  /** Blocks of the longest indexed run of `hashes`. They are not shared yet: share() them before any allocate(). */
  matchPrefix(hashes: readonly string[]): readonly number[] {
    return this.#index.match(hashes)
  }

  /**
   * Names an owned block that is full and whose KV is written. False when the hash already has a block, which stays,
   * or the block already has a hash.
   */
  insert(hash: string, parentHash: string, blockId: number): boolean {
    if (!this.#enablePrefixCache) return false
    if (this.#states[blockId] !== OWNED) throw new Error(`insert: block ${blockId} is not owned`)
    return this.#index.insert(hash, parentHash, blockId)
  }

  /** Throws unless invariants 1 and 2 hold against all block tables there are. O(total). */
  assertIntegrity(tables: Iterable<readonly number[]>): void {
    const held = new Int32Array(this.numBlocks)
    for (const table of tables) for (const blockId of table) held[blockId]!++
    const states = new Uint8Array(this.numBlocks).fill(OWNED)
    for (const blockId of this.#freeIds.subarray(0, this.#numFree)) states[blockId] = FREE
    let numListed = this.#numFree
    for (const blockId of this.#cached) {
      if (states[blockId] !== OWNED) throw new Error(`block pool: block ${blockId} is free and cached`)
      states[blockId] = CACHED
      numListed++
    }
    const numUnowned = states.reduce((count, state) => count + (state === OWNED ? 0 : 1), 0)
    if (numUnowned !== numListed) throw new Error('block pool: a block is listed as free twice')
    for (let blockId = 0; blockId < this.numBlocks; blockId++) this.#assertBlock(blockId, states[blockId]!, held[blockId]!)
    this.#index.assertIntegrity()
  }

  #assertBlock(blockId: number, state: number, numHolders: number): void {
    const fail = (what: string): never => {
      throw new Error(`block pool: block ${blockId} ${what}`)
    }
    if (this.#states[blockId] !== state) fail(`has state ${this.#states[blockId]} but the lists say ${state}`)
    if (this.#refCounts[blockId] !== numHolders) fail(`has refcount ${this.#refCounts[blockId]} but ${numHolders} tables hold it`)
    if ((state === OWNED) !== numHolders > 0) fail(`has state ${state} with ${numHolders} holders`)
    if (state === FREE && this.#index.has(blockId)) fail('is free but indexed')
    if (state === CACHED && !this.#index.has(blockId)) fail('is cached but not indexed')
  }

  /** A parent older than its cached child is made newest and passed over; each release can cause that once per ancestor. */
  #evict(): number {
    let blockId = this.#cached.oldest()
    while (blockId !== undefined && this.#numCachedChildren[blockId]! > 0) {
      this.#cached.remove(blockId)
      this.#cached.pushNewest(blockId)
      blockId = this.#cached.oldest()
    }
    if (blockId === undefined) throw new Error('evict: nothing is cached')
    this.#leaveCache(blockId)
    this.#index.remove(blockId)
    return blockId
  }

  #enterCache(blockId: number): void {
    const parent = this.#index.parentOf(blockId) ?? this.numBlocks
    this.#countedUnder[blockId] = parent
    this.#numCachedChildren[parent]!++
    this.#states[blockId] = CACHED
    this.#cached.pushNewest(blockId)
  }

  #leaveCache(blockId: number): void {
    this.#numCachedChildren[this.#countedUnder[blockId]!]!--
    this.#countedUnder[blockId] = this.numBlocks
    this.#cached.remove(blockId)
  }

  #free(blockId: number): void {
    this.#states[blockId] = FREE
    this.#freeIds[this.#numFree++] = blockId
  }
}
