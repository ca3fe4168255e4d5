// Decides whether a request can ever run here and whether it can start now, and reserves its blocks.
//
// 1. Admission reserves blocks for the whole prompt and for emitted tokens to recompute, for all choices or none (Sarathi-Serve §4).
// 2. It leaves 1 % of the blocks to running sequences, except when nothing else is admitted.
// 3. A request that passed `refusal` fits the pool when it has it alone, at its longest: so preempting all others always frees enough.
import { blocksFor, hashChain } from '@rubato/kv'
import type { BlockPool } from '@rubato/kv'
import type { InstanceConfig } from '../instance-config.ts'
import type { GenerateMessage } from '../messages.ts'
import type { EngineSlot } from '../request/engine-slot.ts'
import type { InstanceRequest } from '../request/request.ts'
import { usableHitTokens } from './cells.ts'

const WATERMARK_RATIO = 0.01

/** What admitting a request now would take. */
export interface AdmissionCost {
  readonly hitTokens: number
  readonly hitBlockIds: readonly number[]
  /** Blocks to allocate, all choices together. */
  readonly newBlocks: number
  /** newBlocks plus the hits that are cached now: what stops being available to others. */
  readonly availableBlocksUsed: number
}

export class Admission {
  readonly #config: InstanceConfig
  readonly #pool: BlockPool
  readonly #watermarkBlocks: number

  constructor(config: InstanceConfig, pool: BlockPool) {
    this.#config = config
    this.#pool = pool
    this.#watermarkBlocks = Math.ceil(config.shape.numBlocks * WATERMARK_RATIO)
  }

  /** Why the request can never run here, or null. */
  refusal(message: GenerateMessage): string | null {
    const { shape, limits } = this.#config
    const promptLen = message.promptIds.length
    const { maxTokens } = message.sampling
    const numChoices = message.emittedIds.length - message.finishedSequences.length
    if (promptLen === 0) return 'the prompt is empty'
    if (promptLen + maxTokens > shape.maxModelLen) return `prompt of ${promptLen} and max_tokens of ${maxTokens} exceed the context of ${shape.maxModelLen} tokens`
    if (numChoices > limits.maxNumSeqs) return `${numChoices} choices exceed the ${limits.maxNumSeqs} sequences that run at a time`
    const longest = blocksFor(promptLen + maxTokens - 1, shape.blockSize)
    const shared = Math.floor(promptLen / shape.blockSize)
    const needed = shared + numChoices * (longest - shared)
    return needed > shape.numBlocks ? `needs ${needed} KV blocks, the instance has ${shape.numBlocks}` : null
  }

  /**
   * Looks the prompt up in the prefix index and counts blocks; changes nothing but the request's memo of its hashes. A prompt
   * that is computed skips whole cells only; one that is pulled skips every block that is here.
   */
  cost(request: InstanceRequest, hits: 'cells' | 'blocks' = 'cells'): AdmissionCost {
    const { blockSize, cellTokens } = this.#config.shape
    const known = this.#pool.matchPrefix(this.#promptHashes(request))
    const hitTokens = hits === 'cells' ? usableHitTokens(known.length * blockSize, request.promptLen, cellTokens) : known.length * blockSize
    const hitBlockIds = known.slice(0, hitTokens / blockSize)
    const sharedBlocks = Math.floor(request.promptLen / blockSize)
    let newBlocks = 0
    request.live.forEach((sequence, place) => {
      newBlocks += blocksFor(sequence.settledKvTokens, blockSize) - (place === 0 ? hitBlockIds.length : sharedBlocks)
    })
    const numCachedHits = hitBlockIds.reduce((count, blockId) => count + Number(this.#pool.isCached(blockId)), 0)
    return { hitTokens, hitBlockIds, newBlocks, availableBlocksUsed: newBlocks + numCachedHits }
  }

  /** Whether the blocks are there, beyond `promisedBlocks` that others will take first. */
  fits(cost: AdmissionCost, promisedBlocks: number, isAlone: boolean): boolean {
    const watermarkBlocks = isAlone ? 0 : this.#watermarkBlocks
    return cost.availableBlocksUsed + promisedBlocks + watermarkBlocks <= this.#pool.availableBlocks
  }

  /** Fills the block tables of the request's slots. False, and nothing is held, when blocks are short. */
  reserve(request: InstanceRequest, { isAlone, hits }: { readonly isAlone: boolean; readonly hits: 'cells' | 'blocks' }): AdmissionCost | null {
    const cost = this.cost(request, hits)
    if (!this.fits(cost, 0, isAlone)) return null
    this.#pool.share(cost.hitBlockIds)
    const allocation = this.#pool.allocate(cost.newBlocks)
    if (allocation.kind === 'rejected') {
      this.#pool.release(cost.hitBlockIds)
      return null
    }
    this.#fillTables(request, cost, allocation.blockIds)
    return cost
  }

  #fillTables(request: InstanceRequest, cost: AdmissionCost, blockIds: readonly number[]): void {
    const { blockSize } = this.#config.shape
    let numUsed = 0
    const takeUpTo = (slot: EngineSlot, kvTokens: number): void => {
      const count = slot.table.missingBlocks(kvTokens)
      slot.table.append(blockIds.slice(numUsed, numUsed + count))
      numUsed += count
    }
    const [lead, ...others] = request.live
    const leadSlot = lead!.slot!
    leadSlot.table.append(cost.hitBlockIds)
    leadSlot.kvTokens = cost.hitTokens
    leadSlot.numHashedBlocks = cost.hitBlockIds.length
    leadSlot.lastHash = this.#promptHashes(request)[cost.hitBlockIds.length - 1] ?? this.#config.rootHash(request.message.cacheSalt)
    takeUpTo(leadSlot, lead!.settledKvTokens)
    const shared = leadSlot.table.blockIds.slice(0, Math.floor(request.promptLen / blockSize))
    for (const sequence of others) {
      this.#pool.share(shared)
      sequence.slot!.table.append(shared)
      takeUpTo(sequence.slot!, sequence.settledKvTokens)
    }
  }

  #promptHashes(request: InstanceRequest): readonly string[] {
    const config = this.#config
    if (!config.enablePrefixCache) return []
    request.promptHashes ??= hashChain(config.rootHash(request.message.cacheSalt), request.message.promptIds, config.shape.blockSize, config.hashBlock)
    return request.promptHashes
  }
}
