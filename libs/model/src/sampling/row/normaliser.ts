// What a log-probability needs of a whole row: the sum of exp(logit - max), and how many tokens come before one of them.
// One pass does both, with exp(-x) from two small tables and one straight line: five times as fast as Math.exp, which
// would be most of the cost. Distances are counted in cells of 1/32768 nat.
//
// 1. For 0 <= cell < NUM_CELLS and 0 <= rest < 1,
//    exp(-(cell + rest) / 32768) = COARSE[cell >>> 10] * FINE[cell & 1023] * (1 + rest * CELL_SLOPE), nearly.
// 2. The line is the chord of exp(-x) over one cell of width h, so it is too large by at most h^2 / 8 = 1.2e-10, relative.
//    A sum of such weights is off by no more, relative, and its logarithm by no more, absolute.
// 3. Together the tables take 18 KiB: they stay in a first-level cache of 32 KiB while a row streams past.
import { nextAbove } from './order.ts'
import type { ScannedRow } from './group-maxima.ts'

/** How far below the greatest logit a token counts: 2^21 tokens further down weigh less than 1e-11 of the greatest. */
export const DEPTH_NATS = 40
/** Coarse steps per nat; the bins that count tokens are as wide. */
export const BINS_PER_NAT = 32
export const NUM_BINS: number = BINS_PER_NAT * DEPTH_NATS
const CELLS_PER_BIN = 1024
const CELLS_PER_NAT = BINS_PER_NAT * CELLS_PER_BIN
const NUM_CELLS = NUM_BINS * CELLS_PER_BIN

/** Entry b: exp(-b / 32), the weight at the top of bin b. The last entry is 0: the weight of all that lies deeper. */
export const COARSE: Float64Array = Float64Array.from({ length: NUM_BINS + 1 }, (_, bin) => (bin === NUM_BINS ? 0 : Math.exp(-bin / BINS_PER_NAT)))
/** Entry c: exp(-c / 32768). */
const FINE = Float64Array.from({ length: CELLS_PER_BIN }, (_, cell) => Math.exp(-cell / CELLS_PER_NAT))
/** What one cell takes off a weight, relative; negative. */
const CELL_SLOPE = Math.expm1(-1 / CELLS_PER_NAT)

/** exp(-distance / 32) for a distance in bins, 0 or more; 0 from NUM_BINS on. */
export function weightAt(distance: number): number {
  const cells = Math.min(distance * CELLS_PER_BIN, NUM_CELLS)
  const cell = cells | 0
  return COARSE[cell >>> 10]! * FINE[cell & 1023]! * (1 + (cells - cell) * CELL_SLOPE)
}

export class Normaliser {
  /** In an array, since V8 would box a running sum that ends in a field. */
  readonly #total = new Float64Array(1)
  #numBefore = 0
  #topCells = 0

  /** Sum of exp(logit - max) over the row, at temperature 1; error below 2e-10, relative. */
  get total(): number {
    return this.#total[0]!
  }

  /** Number of tokens before the measured one in the token order. */
  get numBefore(): number {
    return this.#numBefore
  }

  /** Measures a scanned row around one of its tokens. */
  measure({ row, maxima }: ScannedRow, tokenId: number): void {
    const { values, max } = maxima
    const chosen = row[tokenId]!
    // Equal logits come before it at lower ids only: past its id, a token must reach the next greater float32.
    const above = nextAbove(chosen)
    const deepest = Math.min(max - DEPTH_NATS, chosen) // a group below it adds neither mass nor rank
    this.#total[0] = 0
    this.#numBefore = 0
    this.#topCells = max * CELLS_PER_NAT
    for (let group = 0; group < values.length; group++) {
      if (values[group]! < deepest) continue
      const start = maxima.startOf(group)
      const end = maxima.endOf(group)
      const split = Math.max(start, Math.min(tokenId, end))
      if (split > start) this.#addRun(row, start, split, chosen)
      if (split < end) this.#addRun(row, split, end, above)
    }
  }

  /** The hot loop. Its constants are those of this file: V8 takes an imported one for any value at all, and boxes what meets it. */
  #addRun(row: Float32Array, start: number, end: number, least: number): void {
    const totals = this.#total
    const topCells = this.#topCells
    let total = 0
    let numBefore = 0
    for (let i = start; i < end; i++) {
      const logit = row[i]!
      numBefore += Number(logit >= least) // a sum, not a branch: half of the guesses could fail
      let cells = topCells - logit * CELLS_PER_NAT
      if (!(cells < NUM_CELLS)) cells = NUM_CELLS // NaN is impossible too
      const cell = cells | 0
      total += COARSE[cell >>> 10]! * FINE[cell & 1023]! * (1 + (cells - cell) * CELL_SLOPE)
    }
    totals[0] = totals[0]! + total
    this.#numBefore += numBefore
  }
}
