// Blocks of one choice that wait for their KV.
import { blocksFor } from '@rubato/kv'
import type { EngineSlot } from '../request/engine-slot.ts'
import type { Sequence } from '../request/request.ts'

export class BlockTrack {
  readonly sequence: Sequence
  /** Per block of the table, whether its KV is here. */
  readonly #isInstalled: boolean[] = []
  #numMissing = 0

  /** The slot's table has its blocks. Contents of the first `numHeld` are here already. */
  constructor(sequence: Sequence, numBlocks: number, numHeld: number) {
    this.sequence = sequence
    this.grow(numBlocks)
    for (let block = 0; block < numHeld; block++) this.mark(block)
  }

  get slot(): EngineSlot {
    return this.sequence.slot!
  }

  get numBlocks(): number {
    return this.#isInstalled.length
  }

  get isComplete(): boolean {
    return this.#numMissing === 0
  }

  /** Whether all KV of a choice with this many tokens is here. */
  holds(kvTokens: number): boolean {
    return this.#numMissing === 0 && this.numBlocks >= blocksFor(kvTokens, this.slot.table.blockSize)
  }

  isMissing(block: number): boolean {
    return this.#isInstalled[block] !== true
  }

  mark(block: number): void {
    if (this.#isInstalled[block] === false) this.#numMissing--
    this.#isInstalled[block] = true
  }

  /** The table grew to this many blocks. */
  grow(numBlocks: number): void {
    while (this.#isInstalled.length < numBlocks) {
      this.#isInstalled.push(false)
      this.#numMissing++
    }
  }

  /** Blocks without a gap from the first one on, starting to look at `from`. */
  unbrokenFrom(from: number): number {
    let place = from
    while (this.#isInstalled[place] === true) place++
    return place
  }
}
