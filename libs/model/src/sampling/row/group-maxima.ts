// The greatest logit of a row and of each run of 256 token ids. Every later pass over the row skips the runs that cannot
// matter to it, which is what keeps a draw from 128,000 tokens under a millisecond.
import { RubatoError } from '@rubato/config'

const GROUP_SHIFT = 8
/** Token ids per group: group g holds ids [g * GROUP_SIZE, (g + 1) * GROUP_SIZE). */
export const GROUP_SIZE: number = 2 ** GROUP_SHIFT

export class GroupMaxima {
  /** Greatest logit per group; -Infinity where a group has none that is a number. */
  readonly values: Float32Array
  readonly vocabSize: number
  #max = 0
  #argmax = 0

  constructor(vocabSize: number) {
    this.vocabSize = vocabSize
    this.values = new Float32Array(Math.ceil(vocabSize / GROUP_SIZE))
  }

  /** Greatest logit of the row last scanned. */
  get max(): number {
    return this.#max
  }

  /** Its token id; the lowest one at ties. */
  get argmax(): number {
    return this.#argmax
  }

  /**
   * Scans a row `[vocabSize]`. A token whose logit is NaN counts as impossible.
   * Throws RubatoError `no_token_allowed` when no logit is finite, or one is +Infinity.
   */
  scan(row: Float32Array): void {
    const { values, vocabSize } = this
    let best = -Infinity
    let bestGroup = 0
    for (let group = 0; group < values.length; group++) {
      const start = group << GROUP_SHIFT
      const end = Math.min(start + GROUP_SIZE, vocabSize)
      let max = -Infinity
      for (let i = start; i < end; i++) {
        const logit = row[i]!
        if (logit > max) max = logit
      }
      values[group] = max
      if (max > best) {
        best = max
        bestGroup = group
      }
    }
    if (!Number.isFinite(best)) {
      throw new RubatoError('no_token_allowed', `no token can be drawn: the greatest logit is ${best}; masks exclude every token, or the model produced non-finite values`)
    }
    this.#max = best
    this.#argmax = row.indexOf(best, bestGroup << GROUP_SHIFT)
  }
}

/** A row of processed logits `[vocabSize]` with its scanned maxima. */
export interface ScannedRow {
  readonly row: Float32Array
  readonly maxima: GroupMaxima
}
