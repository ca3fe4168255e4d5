// The tokens that min-p, top-k and top-p leave, in vLLM's order and each on what the one before left, as a cut in the
// token order: all three keep a prefix of it. The most likely token always stays.
import { GROUP_SIZE } from './group-maxima.ts'
import { MassBins } from './mass-bins.ts'
import { TokenList, openCut } from './token-list.ts'
import type { SamplingParams } from '../params.ts'
import type { GroupMaxima, ScannedRow } from './group-maxima.ts'
import type { Cut } from './token-list.ts'

/** Finds the cut of one draw at a temperature > 0; keeps its buffers between draws. */
export class AllowedSet {
  readonly #bins = new MassBins()
  readonly #list = new TokenList()

  /** The cut that the request's filters make in a row. */
  cutOf(scanned: ScannedRow, params: SamplingParams): Cut {
    const { minP, topK, topP, temperature } = params
    const { maxima } = scanned
    const cut = openCut()
    if (minP > 0) cut.logit = Math.max(cut.logit, maxima.max + temperature * Math.log(minP))
    if (topK > 0 && topK <= maxima.values.length) this.#filterFew(scanned, params, cut)
    else if (topK > 0 || topP < 1) this.#filterMany(scanned, params, cut)
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

  #filterMany(scanned: ScannedRow, params: SamplingParams, cut: Cut): void {
    const { minP, topK, topP, temperature } = params
    const bins = this.#bins
    bins.fill(scanned, temperature)
    if (minP > 0) bins.keepAbove(scanned, cut)
    if (topK > 0) bins.keepCount(scanned, topK, cut)
    if (topP < 1) bins.keepMass(scanned, topP, cut)
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
    const { values, vocabSize } = maxima
    this.#list.clear()
    for (let group = 0; group < values.length; group++) {
      if (values[group]! < floor) continue
      const end = Math.min((group + 1) * GROUP_SIZE, vocabSize)
      for (let i = group * GROUP_SIZE; i < end; i++) {
        if (row[i]! >= floor) this.#list.add(row[i]!, i, 0)
      }
    }
  }
}
