// Probability mass of a row by distance below its greatest logit: the way to the boundary token of top-k and top-p
// without sorting the vocabulary. Weights are exp((logit - max) / temperature), summed in float64.
//
// 1. A bin is 1/32 nat wide; a bin's number never rises with the logit, so bins are runs of the token order.
// 2. Tokens more than 40 nats below the maximum are left out: together they weigh less than 1e-11 of the maximum even for
//    two million ids, and the noise (range 20.2) can never lift them, so no draw depends on them.
import { GROUP_SIZE } from './group-maxima.ts'
import { TokenList, isLeft } from './token-list.ts'
import type { ScannedRow } from './group-maxima.ts'
import type { Cut } from './token-list.ts'

const BINS_PER_NAT = 32
const DEPTH_NATS = 40
const NUM_BINS = BINS_PER_NAT * DEPTH_NATS

/** Entry b: exp(-b / 32), the weight at the top of bin b; the last entry stands for all that is left out. */
const TOP_WEIGHTS: Float64Array = Float64Array.from({ length: NUM_BINS + 1 }, (_, bin) => (bin === NUM_BINS ? 0 : Math.exp(-bin / BINS_PER_NAT)))

const C1 = -1 / BINS_PER_NAT
const C2 = C1 ** 2 / 2
const C3 = C1 ** 3 / 6
const C4 = C1 ** 4 / 24

/** exp(-x / 32) - 1 for 0 <= x <= 1, error below 1e-9: with the table, an exponential that is cheaper than Math.exp. */
function lossWithin(x: number): number {
  return x * (C1 + x * (C2 + x * (C3 + x * C4)))
}

export class MassBins {
  readonly #counts = new Int32Array(NUM_BINS + 1)
  readonly #masses = new Float64Array(NUM_BINS + 1)
  /** The tokens of one bin. */
  readonly #list = new TokenList()
  #numUsed = 0
  #binsPerLogit = 0
  #max = 0
  #total = 0

  /** Sum of the weights of what was kept so far; the most likely token weighs 1. */
  get total(): number {
    return this.#total
  }

  /** Sorts the tokens of a scanned row into bins. */
  fill({ row, maxima }: ScannedRow, temperature: number): void {
    const counts = this.#counts.fill(0)
    const masses = this.#masses.fill(0)
    const { values, max, vocabSize } = maxima
    this.#binsPerLogit = BINS_PER_NAT / temperature
    this.#max = max
    for (let group = 0; group < values.length; group++) {
      if ((max - values[group]!) * this.#binsPerLogit < NUM_BINS) this.#addRun(row, group * GROUP_SIZE, Math.min((group + 1) * GROUP_SIZE, vocabSize))
    }
    this.#numUsed = NUM_BINS
    this.#total = 0
    for (let bin = 0; bin < NUM_BINS; bin++) {
      masses[bin] = TOP_WEIGHTS[bin]! * (counts[bin]! + masses[bin]!)
      this.#total += masses[bin]!
    }
  }

  /** Number of tokens before this one in the token order; null for a token that the bins leave out. */
  numBefore(scanned: ScannedRow, tokenId: number): number | null {
    const logit = scanned.row[tokenId]!
    const distance = (this.#max - logit) * this.#binsPerLogit
    if (!(distance < NUM_BINS)) return null
    const bin = Math.floor(distance)
    this.#gather(scanned, bin, { logit, tokenId })
    let before = this.#list.count - 1
    for (let i = 0; i < bin; i++) before += this.#counts[i]!
    return before
  }

  /** Keeps the tokens that `cut` leaves. */
  keepAbove(scanned: ScannedRow, cut: Cut): void {
    const distance = (scanned.maxima.max - cut.logit) * this.#binsPerLogit
    if (distance >= NUM_BINS) return
    this.#gather(scanned, Math.floor(distance), cut)
    this.#trim(Math.floor(distance))
  }

  /** Keeps the `topK` first tokens of the order among those kept so far: tightens `cut`. */
  keepCount(scanned: ScannedRow, topK: number, cut: Cut): void {
    let missing = topK
    let bin = 0
    while (bin < this.#numUsed && this.#counts[bin]! < missing) missing -= this.#counts[bin++]!
    if (bin === this.#numUsed) return
    this.#gather(scanned, bin, cut)
    this.#list.keepCount(missing, cut)
    this.#trim(bin)
  }

  /** Keeps the shortest prefix of the order that holds at least `topP` of the mass kept so far: tightens `cut`. */
  keepMass(scanned: ScannedRow, topP: number, cut: Cut): void {
    let missing = topP * this.#total
    let bin = 0
    while (bin < this.#numUsed && this.#masses[bin]! < missing) missing -= this.#masses[bin++]!
    if (bin === this.#numUsed) return
    this.#gather(scanned, bin, cut)
    this.#list.keepMass(missing, cut)
  }

  /** Drops all bins after `bin`, and of that one all that is not in the list. */
  #trim(bin: number): void {
    this.#counts[bin] = this.#list.count
    this.#masses[bin] = this.#list.mass
    this.#numUsed = bin + 1
    this.#total = 0
    for (let i = 0; i <= bin; i++) this.#total += this.#masses[i]!
  }

  /** The hot loop of fill(); masses hold sums of lossWithin until fill() scales them. */
  #addRun(row: Float32Array, start: number, end: number): void {
    const counts = this.#counts
    const masses = this.#masses
    const max = this.#max
    const binsPerLogit = this.#binsPerLogit
    for (let i = start; i < end; i++) {
      const below = (max - row[i]!) * binsPerLogit
      const distance = below < NUM_BINS ? below : NUM_BINS // a NaN counts as impossible
      const bin = distance | 0
      masses[bin] = masses[bin]! + lossWithin(distance - bin)
      counts[bin] = counts[bin]! + 1
    }
  }

  /** Lists the tokens of one bin that `cut` leaves. */
  #gather({ row, maxima }: ScannedRow, bin: number, cut: Cut): void {
    const { values, max, vocabSize } = maxima
    this.#list.clear()
    for (let group = 0; group < values.length; group++) {
      if ((max - values[group]!) * this.#binsPerLogit >= bin + 1) continue
      const end = Math.min((group + 1) * GROUP_SIZE, vocabSize)
      for (let i = this.#nextInBin(row, group * GROUP_SIZE, end, bin); i < end; i = this.#nextInBin(row, i + 1, end, bin)) {
        const distance = (max - row[i]!) * this.#binsPerLogit
        if (distance < bin + 1 && isLeft(cut, row[i]!, i)) this.#list.add(row[i]!, i, TOP_WEIGHTS[bin]! * (1 + lossWithin(distance - bin)))
      }
    }
  }

  /** First index in [start, end) whose token may be in the bin (distances past 2^32 wrap around); `end` when there is none. */
  #nextInBin(row: Float32Array, start: number, end: number, bin: number): number {
    const max = this.#max
    const binsPerLogit = this.#binsPerLogit
    for (let i = start; i < end; i++) {
      if ((((max - row[i]!) * binsPerLogit) | 0) === bin) return i
    }
    return end
  }
}
