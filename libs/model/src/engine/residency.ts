// Decides which slot of the arena each block lies in. Decode runs read a prefix of the arena in place, so blocks of
// decoding sequences belong in the lowest slots and cold cached ones above them.
//
// 1. A block is cold, reserved (its sequence is still in prefill) or active (some sequence decodes on it), by reference count.
// 2. Fresh blocks are claimed into the lowest slot that holds a cold block: one copy at most, none before the arena has filled once.
// 3. Holes that finished sequences leave are closed a few swaps per run; correctness never depends on it, since a block
//    outside the prefix is gathered instead.
import type { Arena } from './arena.ts'

/** Bounds what closing holes may cost a single run. */
const MAX_SWAPS_PER_RUN = 4
/** Active blocks are left where they are as long as they lie within this many times their number of slots, and a few more. */
const DENSE_SLACK_RATIO = 1.25
const DENSE_SLACK_SLOTS = 4

/** A sequence's leading blocks that were claimed. */
export interface ClaimedBlocks {
  readonly blocks: readonly number[]
  readonly claimedBlocks: number
}

export class Residency {
  readonly #arena: Arena
  readonly #references: Int32Array
  readonly #active: Int32Array
  /** Blocks that hold something worth keeping when they move. */
  readonly #written: Uint8Array
  #numActive = 0

  constructor(arena: Arena) {
    this.#arena = arena
    this.#references = new Int32Array(arena.shape.numBlocks)
    this.#active = new Int32Array(arena.shape.numBlocks)
    this.#written = new Uint8Array(arena.shape.numBlocks)
  }

  /** A sequence takes a block into its table. `fresh`: its contents will be written before they are read. */
  claim(block: number, fresh: boolean): void {
    const held = this.#references[block]!++
    if (!fresh || held > 0) return
    const target = this.#lowestColdSlot(this.#arena.slotOf(block))
    if (target !== null) this.#moveFresh(block, target)
    this.#written[block] = 1
  }

  /** A sequence starts to decode on a block that it claimed. */
  activate(block: number): void {
    if (this.#active[block]!++ === 0) this.#numActive++
  }

  /** A sequence lets go of a block; `wasActive` when it had activated it. */
  release(block: number, wasActive: boolean): void {
    this.#references[block]!--
    if (wasActive && --this.#active[block]! === 0) this.#numActive--
  }

  /** Contents came from elsewhere: installed, or copied from another block. */
  markWritten(block: number): void {
    this.#written[block] = 1
  }

  /** Moves a few of the active blocks that lie too high into holes below. `decoding`: every sequence that is. */
  settle(decoding: Iterable<ClaimedBlocks>): void {
    const limit = this.highestDenseSlot
    let swaps = 0
    let hole = 1
    for (const { blocks, claimedBlocks } of decoding) {
      for (let place = 0; place < claimedBlocks; place++) {
        const slot = this.#arena.slotOf(blocks[place]!)
        if (slot <= limit) continue
        while (this.#active[this.#arena.blockAt(hole)]! > 0) hole++
        this.#arena.swapSlots(slot, hole)
        if (++swaps === MAX_SWAPS_PER_RUN) return
      }
    }
  }

  /** Where the highest active block should lie at most. */
  get highestDenseSlot(): number {
    return Math.floor(this.#numActive * DENSE_SLACK_RATIO) + DENSE_SLACK_SLOTS
  }

  #lowestColdSlot(below: number): number | null {
    for (let slot = 1; slot < below; slot++) if (this.#references[this.#arena.blockAt(slot)]! === 0) return slot
    return null
  }

  #moveFresh(block: number, target: number): void {
    const displaced = this.#arena.blockAt(target)
    this.#arena.exchange(block, displaced, this.#written[displaced] === 1)
  }
}
