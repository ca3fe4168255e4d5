// The best tokens of a row by perturbed logit (logit / temperature + noise), found without computing noise for tokens that
// can no longer be among them. Exact: the pruning bound is the range of the noise itself (docs/sampling.md).
import { GUMBEL_MAX, GUMBEL_MIN, gumbelOf, nextNoisy, noiseBits } from '../noise.ts'
import { isLeft } from '../filters/token-list.ts'
import type { SequenceNoise } from '../noise.ts'
import type { ScannedRow } from './group-maxima.ts'
import type { Cut } from '../filters/token-list.ts'

const STEPS_PER_NAT = 16
/** Groups whose greatest logit is within this many nats of the row's are looked at first, to raise the bar early. */
const HOT_NATS = 3

/** How one token is drawn: `noise` has been moved to its position. */
export interface Draw {
  readonly temperature: number
  readonly noise: SequenceNoise
  /** Number of best tokens asked for. */
  readonly width: number
}

/** Entry i: noise bits up to this value give less noise than GUMBEL_MIN + i / 16, with a little to spare for rounding. */
const TOO_FEW_BITS: Int32Array = Int32Array.from({ length: Math.ceil((GUMBEL_MAX - GUMBEL_MIN) * STEPS_PER_NAT) + 1 }, (_, step) =>
  Math.max(-1, Math.floor(2 ** 24 * Math.exp(-Math.exp(-(GUMBEL_MIN + step / STEPS_PER_NAT))) - 4)),
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

/** Fills `top`, reset to `width`, with the greatest logits themselves (greedy). */
export function topByLogit({ row, maxima }: ScannedRow, width: number, top: TopScores): void {
  const { values } = maxima
  top.reset(width)
  if (width === 0) return
  // The width-th greatest of the group maxima is a bar from the start: width tokens reach it, so few groups need a look.
  for (let group = 0; group < values.length; group++) if (values[group]! > top.bar) top.offer(group, values[group]!)
  const floor = top.bar
  top.reset(width)
  for (let group = 0; group < values.length; group++) {
    if (values[group]! < floor || values[group] === -Infinity) continue
    const end = maxima.endOf(group)
    let bar = Math.max(floor, top.bar)
    for (let i = maxima.startOf(group); i < end; i++) {
      const logit = row[i]!
      if (!(logit >= bar) || logit === -Infinity) continue
      top.offer(i, logit)
      bar = Math.max(floor, top.bar)
    }
  }
}

/** Fills `top`, reset to the draw's width, with the greatest perturbed logits among the tokens that `cut` leaves, at a temperature > 0. */
export function topByPerturbedLogit(scanned: ScannedRow, cut: Cut, draw: Draw, top: TopScores): void {
  const { values, max } = scanned.maxima
  const hot = max - HOT_NATS * draw.temperature
  top.reset(draw.width)
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

/** Offers the tokens of a group: nearly all fail on their noise alone, against what the group's greatest logit would need. */
function offerGroup({ row, maxima }: ScannedRow, group: number, cut: Cut, draw: Draw, top: TopScores): void {
  const { temperature, noise } = draw
  const perTemperature = 1 / temperature
  const groupNats = maxima.values[group]! * perTemperature
  const end = maxima.endOf(group)
  let groupBits = requiredBits(top.bar - groupNats)
  for (let i = maxima.startOf(group); groupBits < 2 ** 24; i++) {
    i = nextNoisy(i, end, noise, groupBits)
    if (i === end) return
    const logit = row[i]!
    if (!isLeft(cut, logit, i)) continue
    const bits = noiseBits(i, noise.keyA, noise.keyB)
    if (bits <= requiredBits(top.bar - logit * perTemperature)) continue
    const score = logit / temperature + gumbelOf(bits)
    if (score < top.bar) continue
    top.offer(i, score)
    groupBits = requiredBits(top.bar - groupNats)
  }
}
