// Decides which slot of the arena each block lies in. Decode runs read a dense prefix of the arena in place, so blocks of
// decoding sequences belong in the lowest slots and cold cached ones above them.
//
// 1. A block is cold, reserved (its sequence is still in prefill) or active (some sequence decodes on it), by reference count.
// 2. Fresh blocks are claimed into the lowest slot that holds a cold block: one copy at most, none before the arena has filled once.
// 3. Holes that finished sequences leave are closed a few swaps per step; correctness never depends on it, since a block
//    outside the dense prefix is gathered instead.
import type { Arena } from './arena.ts'

/** Swaps per step: bounds what closing holes may cost a single step. */
const MAX_SWAPS_PER_STEP = 4
/** The dense prefix may be this much longer than the active blocks in it before the rest is gathered. */
const DENSE_SLACK_RATIO = 1.25
const DENSE_SLACK_SLOTS = 4

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

  /** Contents were installed from outside. */
  markWritten(block: number): void {
    this.#written[block] = 1
  }

  /** Closes holes below the active blocks, then says how many slots a decode run should read in place (>= 1: the dummy). */
  settle(activeTables: Iterable<readonly number[]>): number {
    const limit = Math.floor(this.#numActive * DENSE_SLACK_RATIO) + DENSE_SLACK_SLOTS
    let highest = 0
    let swaps = 0
    let hole = 1
    for (const table of activeTables) {
      for (const block of table) {
        let slot = this.#arena.slotOf(block)
        if (slot > limit && swaps < MAX_SWAPS_PER_STEP) {
          while (this.#active[this.#arena.blockAt(hole)]! > 0) hole++
          this.#arena.swapSlots(slot, hole)
          slot = hole
          swaps++
        }
        if (slot <= limit && slot > highest) highest = slot
      }
    }
    return highest + 1
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
