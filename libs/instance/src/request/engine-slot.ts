// One stay of a sequence in the engine: its handle, its block table and how much KV is written.
// Preemption ends the stay; the next one gets a new slot with a new handle.
import { BlockTable } from '@rubato/kv'
import type { Decode } from '@rubato/model'

export class EngineSlot {
  readonly handle: number
  readonly table: BlockTable
  /** Commands without a draft tree never change, so each slot makes them once. */
  readonly decode: Decode
  readonly forcedDecode: Decode
  /** The engine was told of the handle, so it must be told of its end. */
  isAdmitted = false
  /** Leading blocks of the table that the engine was told of. */
  numSentBlocks = 0
  /** Tokens whose KV is written by committed steps. */
  kvTokens = 0
  /** Leading full blocks that have a hash, and the hash of the last of them (the root hash when none). */
  numHashedBlocks = 0
  lastHash = ''

  constructor(handle: number, blockSize: number) {
    this.handle = handle
    this.table = new BlockTable(blockSize)
    this.decode = { handle, tree: null, forced: false }
    this.forcedDecode = { handle, tree: null, forced: true }
  }

  /** Blocks the engine does not know of yet; they count as told from now on. */
  takeUnsentBlocks(): readonly number[] {
    const blockIds = this.table.blockIds.slice(this.numSentBlocks)
    this.numSentBlocks = this.table.blockIds.length
    return blockIds
  }
}
