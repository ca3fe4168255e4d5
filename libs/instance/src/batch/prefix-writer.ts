// Puts blocks into the prefix index once a committed step has filled them.
//
// 1. Never before their KV is written.
// 2. Prompt blocks always; blocks with emitted tokens only where recompute in cells is allowed (float32).
import type { BlockPool } from '@rubato/kv'
import type { InstanceConfig } from '../instance-config.ts'
import type { EngineSlot } from '../request/engine-slot.ts'
import { tokensBetween } from '../request/request.ts'
import type { InstanceRequest, Sequence } from '../request/request.ts'

export class PrefixWriter {
  readonly #config: InstanceConfig
  readonly #pool: BlockPool

  constructor(config: InstanceConfig, pool: BlockPool) {
    this.#config = config
    this.#pool = pool
  }

  /** Indexes the blocks of `slot` that became full; call after its kvTokens advanced. */
  indexWritten(sequence: Sequence, slot: EngineSlot): void {
    const { enablePrefixCache, shape, hashBlock } = this.#config
    const { blockSize } = shape
    if (!enablePrefixCache) return
    const { promptHashes, promptLen } = sequence.request
    const indexable = shape.replay === 'cells' ? slot.kvTokens : Math.min(slot.kvTokens, promptLen)
    while ((slot.numHashedBlocks + 1) * blockSize <= indexable) {
      const place = slot.numHashedBlocks
      const hash = promptHashes?.[place] ?? hashBlock(slot.lastHash, tokensBetween(sequence, place * blockSize, (place + 1) * blockSize))
      this.#pool.insert(hash, slot.lastHash, slot.table.blockIds[place]!)
      slot.lastHash = hash
      slot.numHashedBlocks++
    }
  }

  /** A choice that shares the prompt goes on behind it: the shared blocks are the lead's to index. */
  startBehindPrompt(request: InstanceRequest, slot: EngineSlot): void {
    slot.kvTokens = request.promptLen
    slot.numHashedBlocks = Math.floor(request.promptLen / this.#config.shape.blockSize)
    slot.lastHash = request.promptHashes?.at(-1) ?? this.#config.rootHash(request.message.cacheSalt)
  }
}
