// The greatest logit of a row and of each run of 256 token ids. Every later pass over the row skips the runs that cannot
// matter to it, which is what keeps a draw from 128,000 tokens under a millisecond.
import { RubatoError } from '@rubato/config'
import type { RowEdits } from './row-edits.ts'

const GROUP_SHIFT = 8
const GROUP_SIZE = 2 ** GROUP_SHIFT
/** An edit costs about as much as this many logits of a scan. */
const FEW_EDITS_RATIO = 8

export class GroupMaxima {
  /** Greatest logit per group; -Infinity where a group has none that is a number. */
  readonly values: Float32Array
  readonly vocabSize: number
  #max = 0

  constructor(vocabSize: number) {
    this.vocabSize = vocabSize
    this.values = new Float32Array(Math.ceil(vocabSize / GROUP_SIZE))
  }

  /** Greatest logit of the row last scanned. */
  get max(): number {
    return this.#max
  }

  /** First token id of a group. By a shift: V8 must see that it is an integer, or all that is counted from it is not one. */
  startOf(group: number): number {
    return group << GROUP_SHIFT
  }

  /** One past the last token id of a group. */
  endOf(group: number): number {
    return Math.min((group + 1) << GROUP_SHIFT, this.vocabSize)
  }

  /** Scans a row `[vocabSize]`. A token whose logit is NaN counts as impossible. */
  scan(row: Float32Array): void {
    const { values } = this
    for (let group = 0; group < values.length; group++) {
      const end = this.endOf(group)
      let max = -Infinity
      for (let i = this.startOf(group); i < end; i++) {
        const logit = row[i]!
        if (logit > max) max = logit
      }
      values[group] = max
    }
    this.#max = greatestIn(values, 0, values.length)
  }

  /** scan() of a row for which `before` was scanned before `edits` were made: only groups that lost their greatest logit are read. */
  amend(before: GroupMaxima, row: Float32Array, edits: RowEdits): void {
    if (edits.count * FEW_EDITS_RATIO > this.vocabSize) {
      this.scan(row)
      return
    }
    const { values } = this
    values.set(before.values)
    for (let edit = 0; edit < edits.count; edit++) {
      const tokenId = edits.tokenIdAt(edit)
      const group = tokenId >> GROUP_SHIFT
      const logit = row[tokenId]!
      const replaced = edits.replacedAt(edit)
      if (logit > values[group]!) values[group] = logit
      else if (replaced === values[group] && !(logit >= replaced)) values[group] = greatestIn(row, this.startOf(group), this.endOf(group))
    }
    this.#max = greatestIn(values, 0, values.length)
  }

  /** Throws RubatoError `no_token_allowed` when no logit of the row is finite, or one is +Infinity. */
  assertDrawable(): void {
    if (Number.isFinite(this.#max)) return
    throw new RubatoError('no_token_allowed', `no token can be drawn: the greatest logit is ${this.#max}; masks exclude every token, or the model produced non-finite values`)
  }
}

function greatestIn(logits: Float32Array, start: number, end: number): number {
  let max = -Infinity
  for (let i = start; i < end; i++) {
    const logit = logits[i]!
    if (logit > max) max = logit
  }
  return max
}

/** A row of processed logits `[vocabSize]` with its scanned maxima. */
export interface ScannedRow {
  readonly row: Float32Array
  readonly maxima: GroupMaxima
}
