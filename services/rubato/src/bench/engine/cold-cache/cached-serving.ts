// Sequences on an engine whose finished prompts stay cached, as an instance keeps them: blocks come from a pool with a
// prefix index, prompts hit what is cached, and finished ones leave their full blocks behind.
//
// 1. A prompt costs one run of a single token per block: where blocks lie is what matters here, not what is in them.
// 2. Blocks go back to the pool only after the step that released their sequence.
import { BlockPool } from '@rubato/kv'
import type { StepResult } from '@rubato/model'
import type { ScratchArena } from '@rubato/model/engine'

interface Running {
  readonly handle: number
  readonly blockIds: number[]
  tokens: number
}

export class CachedServing {
  readonly #arena: ScratchArena
  readonly #pool: BlockPool
  readonly #running: Running[] = []
  numHitBlocks = 0
  numAllocated = 0

  constructor(arena: ScratchArena) {
    this.#arena = arena
    this.#pool = new BlockPool(arena.engine.shape.numBlocks, { enablePrefixCache: true })
  }

  get numRunning(): number {
    return this.#running.length
  }

  get cachedBlocks(): number {
    return this.#pool.cachedBlocks
  }

  /** Computes a prompt of `tokens` tokens; prompts of the same name share their beginnings. */
  async start(name: number, tokens: number): Promise<void> {
    const { blockSize, cellTokens } = this.#arena.engine.shape
    const hashes = Array.from({ length: Math.floor(tokens / blockSize) }, (_, index) => `${name}/${index}`)
    const known = this.#pool.matchPrefix(hashes)
    const hitBlocks = (Math.floor(Math.min(known.length * blockSize, tokens - 1) / cellTokens) * cellTokens) / blockSize
    const hits = known.slice(0, hitBlocks)
    this.#pool.share(hits)
    const blockIds = [...hits, ...this.#allocate(Math.ceil((tokens + 1) / blockSize) - hitBlocks)]
    const handle = this.#arena.nextHandle()
    const starts = new Set([...Array.from({ length: Math.ceil(tokens / blockSize) - hitBlocks }, (_, index) => (hitBlocks + index) * blockSize), tokens - 1])
    await this.#arena.step({
      admit: [{ handle, sequence: 0, promptIds: Array.from({ length: tokens }, () => 1), emittedIds: [1], sampling: this.#arena.sampling }],
      appendBlocks: [{ handle, blockIds }],
      cells: [...starts].map((start) => ({ handle, start, count: 1, sampleHandles: [] })),
    })
    for (const [index, hash] of hashes.entries()) if (index >= hitBlocks) this.#pool.insert(hash, hashes[index - 1] ?? `${name}`, blockIds[index]!)
    this.#running.push({ handle, blockIds, tokens })
    this.numHitBlocks += hitBlocks
  }

  /** One decode of everything that runs. */
  async decode(): Promise<StepResult> {
    const { blockSize } = this.#arena.engine.shape
    const appendBlocks: { handle: number; blockIds: readonly number[] }[] = []
    for (const running of this.#running) {
      running.tokens++
      if (running.tokens <= running.blockIds.length * blockSize) continue
      const blockIds = this.#allocate(1)
      running.blockIds.push(...blockIds)
      appendBlocks.push({ handle: running.handle, blockIds })
    }
    return this.#arena.step({ appendBlocks, decodes: this.#running.map(({ handle }) => ({ handle, tree: null, forced: false })) })
  }

  /** Ends the sequence at this place among the running ones. */
  async finish(place: number): Promise<void> {
    const [ended] = this.#running.splice(place, 1)
    if (ended === undefined) throw new RangeError(`nothing runs at ${place}`)
    await this.#arena.step({ release: [ended.handle] })
    this.#pool.release(ended.blockIds)
  }

  async finishAll(): Promise<void> {
    while (this.#running.length > 0) await this.finish(0)
  }

  #allocate(count: number): readonly number[] {
    const allocation = this.#pool.allocate(count)
    if (allocation.kind === 'rejected') throw new RangeError(`${count} blocks are wanted, ${this.#pool.availableBlocks} are there`)
    this.numAllocated += count
    return allocation.blockIds
  }
}
