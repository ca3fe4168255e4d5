// A draft model: proposes token trees for many sequences at once. It keeps KV of its own, caught up lazily with what was
// committed since it was last asked, and never affects what the target emits.
//
// 1. Every block is free or one sequence's.
// 2. Its blocks are a cache: when they run out the sequence asked least recently loses its own, to be computed again.
import { INLINE_LAG } from './draft-runner.ts'
import type { DraftLimits, DraftRequest, DraftRunner, Growing, Resident } from './draft-runner.ts'
import type { DraftTree } from './draft-tree.ts'
import { TreeGrower } from './tree-grower.ts'

export class DraftModel {
  readonly #runner: DraftRunner
  /** In order of last use. */
  readonly #residents = new Map<number, Resident>()
  readonly #freeBlocks: number[]

  constructor(runner: DraftRunner) {
    this.#runner = runner
    this.#freeBlocks = Array.from({ length: runner.numBlocks }, (_, block) => runner.numBlocks - 1 - block)
  }

  /** One tree per request, in order; empty where a sequence may emit no more than one token, is too long or found no blocks. */
  async propose(requests: readonly DraftRequest[], limits: DraftLimits): Promise<DraftTree[]> {
    const growing: Growing[] = []
    const growers = requests.map((request) => {
      const grower = new TreeGrower(request.sampler)
      const own = request.limits ?? limits
      const isDrafted = Math.min(request.maxDepth, own.depth) > 0 && request.tokens.length <= this.#runner.maxModelLen
      const resident = isDrafted ? this.#reside(request, requests, this.#runner.treeTokens(own)) : null
      if (resident !== null) growing.push({ request, limits: own, resident, grower })
      return grower
    })
    for (const { request, resident } of growing) await this.#runner.catchUp(request.tokens, resident)
    for (let level = 0; ; level += 1) {
      const active = growing.filter(({ request, limits: { depth }, grower }) => level < Math.min(request.maxDepth, depth) && !grower.isGrown)
      if (active.length === 0) break
      await this.#runner.growLevel(active)
    }
    return growers.map((grower) => grower.finish())
  }

  /** Tokens of a sequence of this length that its next draft would have to compute before its first level; 0: none worth a run of their own. */
  lagOf(handle: number, numTokens: number): number {
    const lag = numTokens - 1 - (this.#residents.get(handle)?.computedTokens ?? 0)
    return lag <= INLINE_LAG ? 0 : lag
  }

  /** Computes KV of about `maxTokens` more of a sequence's tokens ahead of its first draft; false: it is too long, or found no blocks. */
  async prepare(sequence: Pick<DraftRequest, 'handle' | 'tokens'>, maxTokens: number): Promise<boolean> {
    const { handle, tokens } = sequence
    const resident = tokens.length > this.#runner.maxModelLen ? null : this.#reside(sequence, [sequence], 0)
    if (resident === null) return false
    const end = tokens.length - this.lagOf(handle, tokens.length) + maxTokens
    await this.#runner.catchUp(end >= tokens.length ? tokens : tokens.slice(0, end), resident)
    return true
  }

  /** The sequence is gone; its blocks are free. Idempotent. */
  forget(handle: number): void {
    const resident = this.#residents.get(handle)
    if (resident === undefined) return
    this.#residents.delete(handle)
    this.#freeBlocks.push(...resident.blocks)
  }

  /** Throws unless every block is free or one sequence's. */
  assertIntegrity(): void {
    const held = [...this.#freeBlocks, ...[...this.#residents.values()].flatMap(({ blocks }) => blocks)]
    const { numBlocks } = this.#runner
    if (held.length !== numBlocks || new Set(held).size !== numBlocks) throw new Error(`draft model: ${held.length} of ${numBlocks} blocks are accounted for`)
  }

  /** Blocks for the committed tokens and the tree; null when even the cache of others does not free enough. */
  #reside({ handle, tokens }: Pick<DraftRequest, 'handle' | 'tokens'>, wanted: readonly Pick<DraftRequest, 'handle'>[], treeTokens: number): Resident | null {
    const resident = this.#residents.get(handle) ?? { blocks: [], computedTokens: 0 }
    this.#residents.delete(handle)
    this.#residents.set(handle, resident)
    const needed = Math.ceil((tokens.length + treeTokens) / this.#runner.blockSize) - resident.blocks.length
    while (this.#freeBlocks.length < needed) {
      const oldest = [...this.#residents.keys()].find((other) => other !== handle && !wanted.some((one) => one.handle === other))
      if (oldest === undefined) return null
      this.forget(oldest)
    }
    for (let taken = 0; taken < needed; taken += 1) resident.blocks.push(this.#freeBlocks.pop()!)
    return resident
  }
}

export type { DraftLimits, DraftRequest } from './draft-runner.ts'
