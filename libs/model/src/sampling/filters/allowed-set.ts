// The tokens that min-p, top-k and top-p leave, in vLLM's order and each on what the one before left, as a cut in the
// token order: all three keep a prefix of it. The most likely token always stays.
//
// The exact cut of a wide top-k or top-p costs more than the draw itself, and hardly any draw depends on it: it is enough
// that the drawn tokens are surely left. So a draw goes by boundingCut, which leaves the allowed tokens and a few in doubt;
// isCertain tells whether one of those was drawn, and only then (about one draw in a hundred) is exactCut needed.
import { NUM_BINS, weightAt } from '../row/normaliser.ts'
import { CountBins, PAST_ALL_BINS } from './count-bins.ts'
import { TokenList, isLeft, openCut } from './token-list.ts'
import type { SamplingParams } from '../params.ts'
import type { GroupMaxima, ScannedRow } from '../row/group-maxima.ts'
import type { TopScores } from '../row/top-scores.ts'
import type { Cut } from './token-list.ts'

/** Finds the cut of one draw at a temperature > 0; keeps its buffers between draws. */
export class AllowedSet {
  readonly #bins = new CountBins()
  readonly #list = new TokenList()
  #isExact = true

  /** A cut that leaves every token the request's filters leave in a row, and perhaps some more. */
  boundingCut(scanned: ScannedRow, params: SamplingParams): Cut {
    const { topK, topP, temperature } = params
    const cut = this.#minPCut(scanned, params)
    const isFew = topK > 0 && topK <= scanned.maxima.values.length
    this.#isExact = isFew || (topK === 0 && topP === 1)
    if (isFew) this.#filterFew(scanned, params, cut)
    if (this.#isExact) return cut
    const bins = this.#bins
    bins.fill(scanned, temperature, cut.logit)
    if (topK > 0) bins.keepCount(topK)
    if (topP < 1) bins.keepMass(topP)
    if (bins.surelyDropped < PAST_ALL_BINS) cut.logit = Math.max(cut.logit, bins.logitBelow(bins.surelyDropped))
    return cut
  }

  /** Whether the tokens drawn by boundingCut from this row are those that exactCut would give. */
  isCertain({ row }: ScannedRow, drawn: TopScores): boolean {
    if (this.#isExact) return true
    for (let i = 0; i < drawn.size; i++) {
      if (this.#bins.binOf(row[drawn.tokenIds[i]!]!) >= this.#bins.surelyKept) return false
    }
    return true
  }

  /** The cut itself, after a boundingCut of the same row that proved too wide. */
  exactCut(scanned: ScannedRow, params: SamplingParams): Cut {
    const cut = this.#minPCut(scanned, params)
    const { countBin, missing } = this.#bins
    if (countBin < PAST_ALL_BINS) {
      this.#listBin(scanned, countBin, cut)
      this.#list.keepCount(missing, cut)
    }
    if (params.topP < 1) this.#list.keepMass(this.#listBand(scanned, params.topP, cut), cut)
    return cut
  }

  #minPCut({ maxima }: ScannedRow, { minP, temperature }: SamplingParams): Cut {
    const cut = openCut()
    if (minP > 0) cut.logit = Math.max(cut.logit, maxima.max + temperature * Math.log(minP))
    return cut
  }

  /** A small top-k: the few tokens that can be in it are listed at once, and no normaliser of the whole row is needed. */
  #filterFew(scanned: ScannedRow, params: SamplingParams, cut: Cut): void {
    const { topK, topP, temperature } = params
    const { max } = scanned.maxima
    this.#listFrom(scanned, Math.max(cut.logit, this.#floorOfTopK(scanned.maxima, topK)))
    this.#list.keepCount(topK, cut)
    if (topP === 1) return
    this.#list.weigh((logit) => Math.exp((logit - max) / temperature))
    this.#list.keepMass(topP * this.#list.mass, cut)
  }

  /** A logit that at least topK tokens reach: the topK-th greatest of the group maxima. */
  #floorOfTopK({ values }: GroupMaxima, topK: number): number {
    const floor = openCut()
    this.#list.clear()
    for (let group = 0; group < values.length; group++) this.#list.add(values[group]!, group, 0)
    this.#list.keepCount(topK, floor)
    return floor.logit
  }

  #listFrom({ row, maxima }: ScannedRow, floor: number): void {
    const { values } = maxima
    this.#list.clear()
    for (let group = 0; group < values.length; group++) {
      if (values[group]! < floor) continue
      const end = maxima.endOf(group)
      for (let i = maxima.startOf(group); i < end; i++) {
        if (row[i]! >= floor) this.#list.add(row[i]!, i, 0)
      }
    }
  }

  /** Lists the tokens of one bin that `cut` leaves. */
  #listBin({ row, maxima }: ScannedRow, bin: number, cut: Cut): void {
    const { values } = maxima
    const floor = Math.max(cut.logit, this.#bins.logitBelow(bin + 1))
    this.#list.clear()
    for (let group = 0; group < values.length; group++) {
      if (values[group]! < floor) continue
      const end = maxima.endOf(group)
      for (let i = maxima.startOf(group); i < end; i++) {
        if (row[i]! >= floor && this.#bins.binOf(row[i]!) === bin && isLeft(cut, row[i]!, i)) this.#list.add(row[i]!, i, 0)
      }
    }
  }

  /** Lists the tokens among which keepMass ends, of those that `cut` leaves; returns what it still needs for topP of their mass. */
  #listBand({ row, maxima }: ScannedRow, topP: number, cut: Cut): number {
    const { values, max } = maxima
    const { bandStart, surelyDropped, binsPerLogit } = this.#bins
    let head = 0
    let total = 0
    this.#list.clear()
    for (let group = 0; group < values.length; group++) {
      if (values[group]! < cut.logit) continue
      const end = maxima.endOf(group)
      for (let i = maxima.startOf(group); i < end; i++) {
        const logit = row[i]!
        const distance = (max - logit) * binsPerLogit
        if (!isLeft(cut, logit, i) || distance >= NUM_BINS) continue
        const bin = Math.floor(distance)
        const weight = weightAt(distance)
        total += weight
        if (bin < bandStart) head += weight
        else if (bin < surelyDropped) this.#list.add(logit, i, weight)
      }
    }
    return topP * total - head
  }
}
