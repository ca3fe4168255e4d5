// The best tokens of a row by perturbed logit (logit / temperature + noise), found without computing noise for tokens that
// can no longer be among them. Exact: the pruning bound is the range of the noise itself (docs/sampling.md).
import { GUMBEL_MAX, GUMBEL_MIN, gumbelOf, noiseBits } from '../noise.ts'
import { GROUP_SIZE } from './group-maxima.ts'
import { isLeft } from './token-list.ts'
import type { SequenceNoise } from '../noise.ts'
import type { ScannedRow } from './group-maxima.ts'
import type { Cut } from './token-list.ts'

const STEPS_PER_NAT = 16
/** Groups whose greatest logit is within this many nats of the row's are looked at first, to raise the bar early. */
const HOT_NATS = 3

/** How one token is drawn: `noise` has been moved to its position. */
export interface Draw {
  readonly temperature: number
  readonly noise: SequenceNoise
}

/** Entry i: noise bits up to this value give less noise than GUMBEL_MIN + i / 16, with a little to spare for rounding. */
const TOO_FEW_BITS: Int32Array = Int32Array.from({ length: Math.ceil((GUMBEL_MAX - GUMBEL_MIN) * STEPS_PER_NAT) + 1 }, (_, step) =>
  Math.floor(2 ** 24 * Math.exp(-Math.exp(-(GUMBEL_MIN + step / STEPS_PER_NAT))) - 4),
)

/** The best `width` tokens offered so far, best first; equal scores go to the lower id. */
export class TopScores {
  readonly tokenIds: Int32Array
  readonly scores: Float64Array
  #size = 0
  #width = 0

  constructor(maxWidth: number) {
    this.tokenIds = new Int32Array(maxWidth)
    this.scores = new Float64Array(maxWidth)
  }

  get size(): number {
    return this.#size
  }

  /** Score that a token must reach to be among the best: -Infinity until `width` tokens were offered. */
  get bar(): number {
    return this.#size < this.#width ? -Infinity : this.scores[this.#width - 1]!
  }

  reset(width: number): void {
    this.#size = 0
    this.#width = width
  }

  offer(tokenId: number, score: number): void {
    const { tokenIds, scores } = this
    let place = this.#size
    while (place > 0 && (score > scores[place - 1]! || (score === scores[place - 1]! && tokenId < tokenIds[place - 1]!))) place--
    if (place >= this.#width) return
    if (this.#size < this.#width) this.#size++
    for (let i = this.#size - 1; i > place; i--) {
      tokenIds[i] = tokenIds[i - 1]!
      scores[i] = scores[i - 1]!
    }
    tokenIds[place] = tokenId
    scores[place] = score
  }
}

/** Fills `top` with the greatest logits themselves (greedy). */
export function topByLogit({ row, maxima }: ScannedRow, top: TopScores): void {
  const { values, vocabSize } = maxima
  for (let group = 0; group < values.length; group++) {
    if (!(values[group]! > -Infinity && values[group]! >= top.bar)) continue
    const end = Math.min((group + 1) * GROUP_SIZE, vocabSize)
    for (let i = group * GROUP_SIZE; i < end; i++) {
      const logit = row[i]!
      if (logit >= top.bar && logit > -Infinity) top.offer(i, logit)
    }
  }
}

/** Fills `top` with the greatest perturbed logits among the tokens that `cut` leaves, at a temperature > 0. */
export function topByPerturbedLogit(scanned: ScannedRow, cut: Cut, draw: Draw, top: TopScores): void {
  const { values, max } = scanned.maxima
  const hot = max - HOT_NATS * draw.temperature
  for (let group = 0; group < values.length; group++) {
    if (values[group]! >= hot && values[group]! >= cut.logit) offerGroup(scanned, group, cut, draw, top)
  }
  for (let group = 0; group < values.length; group++) {
    const groupMax = values[group]!
    if (groupMax < hot && groupMax >= cut.logit) offerGroup(scanned, group, cut, draw, top)
  }
}

/** Noise bits that a token this far below the bar must exceed; -1 when any will do, 2^24 when none can. */
function requiredBits(gapNats: number): number {
  const step = Math.floor((gapNats - GUMBEL_MIN) * STEPS_PER_NAT)
  if (step < 0) return -1
  return TOO_FEW_BITS[step] ?? 2 ** 24
}

/** Most tokens of a group fail on their noise bits alone, against what the group's greatest logit would need. */
function offerGroup({ row, maxima }: ScannedRow, group: number, cut: Cut, draw: Draw, top: TopScores): void {
  const { temperature } = draw
  const { keyA, keyB } = draw.noise
  const perTemperature = 1 / temperature
  const groupNats = maxima.values[group]! * perTemperature
  let bar = top.bar
  let groupBits = requiredBits(bar - groupNats)
  const end = Math.min((group + 1) * GROUP_SIZE, maxima.vocabSize)
  if (groupBits === 2 ** 24) return
  for (let i = group * GROUP_SIZE; i < end; i++) {
    const bits = noiseBits(i, keyA, keyB)
    if (bits <= groupBits) continue
    const logit = row[i]!
    if (!isLeft(cut, logit, i)) continue
    if (bits <= requiredBits(bar - logit * perTemperature)) continue
    const score = logit / temperature + gumbelOf(bits)
    if (score < bar) continue
    top.offer(i, score)
    bar = top.bar
    groupBits = requiredBits(bar - groupNats)
  }
}
