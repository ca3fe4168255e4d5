// How many tokens lie how far below a row's greatest logit, in bins of 1/32 nat: narrows the boundary tokens of top-k and
// top-p down to a few bins without weighing or sorting anything. Where the answer is needed exactly, allowed-set.ts weighs
// the tokens of those few bins.
//
// 1. A bin's number never rises with the logit, so bins are runs of the token order.
// 2. Tokens more than 40 nats below the maximum are left out: together they weigh less than 1e-11 of the maximum even for
//    two million ids, and the noise (range 20.2) can never lift them, so no draw depends on them.
// 3. Tokens of bins before `surelyKept` all stay, tokens of bins from `surelyDropped` on all go; bins between are in doubt.
import { BINS_PER_NAT, COARSE, DEPTH_NATS, NUM_BINS } from '../row/normaliser.ts'
import type { ScannedRow } from '../row/group-maxima.ts'

/** No token of a bin weighs less than this times the weight at the bin's top; the last factor pays for all rounding. */
const LEAST_WEIGHT = Math.exp(-1 / BINS_PER_NAT) * (1 - 1e-9)
/** Counts what is left out; a constant of this module, since V8 would take an imported one for any value in the hot loop. */
const LEFT_OUT: number = NUM_BINS
/** Stands for "no bin": past every bin there is. */
export const PAST_ALL_BINS: number = Number.MAX_SAFE_INTEGER

export class CountBins {
  readonly #counts = new Int32Array(NUM_BINS + 1)
  /** Entry b: what the bins from b on weigh, were all their tokens at the tops of their bins. */
  readonly #massFrom = new Float64Array(NUM_BINS + 1)
  #max = 0
  #binsPerLogit = 0
  #surelyKept = PAST_ALL_BINS
  #surelyDropped = PAST_ALL_BINS
  #bandStart = 0
  #countBin = PAST_ALL_BINS
  #missing = 0

  get surelyKept(): number {
    return this.#surelyKept
  }

  get surelyDropped(): number {
    return this.#surelyDropped
  }

  /** After keepMass: bins from here to surelyDropped hold the last token it keeps, whatever the doubt. */
  get bandStart(): number {
    return this.#bandStart
  }

  /** Bin of the last token that keepCount keeps; PAST_ALL_BINS when it drops none. */
  get countBin(): number {
    return this.#countBin
  }

  /** Number of tokens of that bin which keepCount keeps. */
  get missing(): number {
    return this.#missing
  }

  get binsPerLogit(): number {
    return this.#binsPerLogit
  }

  /** Bin of a logit of the counted row. */
  binOf(logit: number): number {
    return Math.floor((this.#max - logit) * this.#binsPerLogit)
  }

  /** A logit that every token of the bins before `bin` exceeds, by little. */
  logitBelow(bin: number): number {
    const edge = this.#max - bin / this.#binsPerLogit
    return edge - 1e-14 * (Math.abs(edge) + Math.abs(this.#max)) // rounding must not lift it over the bin's last token
  }

  /** Counts the tokens of a scanned row whose logit is at least `floor`. Nothing is dropped yet. */
  fill({ row, maxima }: ScannedRow, temperature: number, floor: number): void {
    const { values, max } = maxima
    const least = Math.max(floor, max - DEPTH_NATS * temperature)
    this.#counts.fill(0)
    this.#max = max
    this.#binsPerLogit = BINS_PER_NAT / temperature
    this.#surelyKept = PAST_ALL_BINS
    this.#surelyDropped = PAST_ALL_BINS
    this.#countBin = PAST_ALL_BINS
    for (let group = 0; group < values.length; group++) {
      if (values[group]! >= least) this.#addRun(row, maxima.startOf(group), maxima.endOf(group), least)
    }
  }

  /** Keeps the `topK` first tokens of the order. */
  keepCount(topK: number): void {
    const counts = this.#counts
    let missing = topK
    let bin = 0
    while (bin < NUM_BINS && counts[bin]! < missing) missing -= counts[bin++]!
    if (bin === NUM_BINS) return
    this.#countBin = bin
    this.#missing = missing
    this.#surelyKept = counts[bin] === missing ? bin + 1 : bin
    this.#surelyDropped = bin + 1
    counts[bin] = missing // the others of the bin weigh nothing in a keepMass that follows
  }

  /**
   * Keeps the shortest prefix of the order that holds `topP` of the mass kept so far: a token stays exactly when the mass
   * before it is less than topP of the whole, so when before * (1 - topP) < topP * (its own and what follows). Both sides
   * are known to within the width of a bin, 3 %, which the factor 1 - topP turns into next to nothing of the whole.
   */
  keepMass(topP: number): void {
    const counts = this.#counts
    const massFrom = this.#massFrom
    const end = Math.min(this.#surelyDropped, NUM_BINS)
    massFrom[end] = 0
    for (let bin = end - 1; bin >= 0; bin--) massFrom[bin] = massFrom[bin + 1]! + counts[bin]! * COARSE[bin]!
    let before = 0
    let kept = PAST_ALL_BINS
    this.#bandStart = 0
    for (let bin = 0; bin < end; bin++) {
      if (before * LEAST_WEIGHT * (1 - topP) >= topP * massFrom[bin]!) {
        this.#surelyDropped = bin
        break
      }
      if (counts[bin] === 0) continue
      const mass = counts[bin]! * COARSE[bin]!
      if (kept === PAST_ALL_BINS) {
        // of the bin's last token: all others of the bin may come before it
        const mostBefore = before + mass - COARSE[bin]!
        const leastAfter = (massFrom[bin + 1]! + COARSE[bin]!) * LEAST_WEIGHT
        if (mostBefore * (1 - topP) >= topP * leastAfter) kept = bin
        else this.#bandStart = bin
      }
      before += mass
    }
    this.#surelyKept = Math.min(this.#surelyKept, kept, this.#surelyDropped)
  }

  /** The hot loop of fill(). */
  #addRun(row: Float32Array, start: number, end: number, least: number): void {
    const counts = this.#counts
    const max = this.#max
    const binsPerLogit = this.#binsPerLogit
    for (let i = start; i < end; i++) {
      const logit = row[i]!
      const distance = (max - logit) * binsPerLogit
      const bin = distance < LEFT_OUT ? distance | 0 : LEFT_OUT // NaN too
      counts[bin] = counts[bin]! + Number(logit >= least) // a sum, not a branch: half of the guesses could fail
    }
  }
}
