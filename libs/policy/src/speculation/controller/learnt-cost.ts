// A cost that is linear in a few features, learnt online: begins at a guess and follows what is measured. A speed common to all
// features follows the machine, which others use too; what features cost beside each other is learnt slowly, by recursive least squares
// in relative error.
//
// 1. A coefficient never falls below its floor: what seems free would be asked for without end.
// 2. One outlier counts as no more than half or one and a half times its prediction.
// 3. Forgetting is of what is being measured: what was learnt of features that do not occur for a while stays as certain as it was.

export interface CostTerm {
  readonly guess: number
  /** Standard deviation of the guess, beside the speed's. */
  readonly doubt: number
  readonly least: number
}

/** Older measurements of the same features fade over about this many. */
const MEMORY = 150
const MAX_RESIDUAL = 0.5
/** Spread of one measurement, relative. */
const NOISE = 0.1
/** Weight of the newest measurement in the speed; the first ones weigh more. */
const SPEED_WEIGHT = 0.08

export class LearntCost {
  readonly #costs: Float64Array
  readonly #least: Float64Array
  /** Row by row. */
  readonly #covariance: Float64Array
  readonly #gain: Float64Array
  #speed = 1
  #numSeen = 0

  constructor(terms: readonly CostTerm[]) {
    const size = terms.length
    this.#costs = Float64Array.from(terms, ({ guess, least }) => Math.max(guess, least))
    this.#least = Float64Array.from(terms, ({ least }) => least)
    this.#gain = new Float64Array(size)
    this.#covariance = new Float64Array(size * size)
    for (const [place, { doubt }] of terms.entries()) this.#covariance[place * (size + 1)] = doubt ** 2
  }

  /** Of one unit of a feature. */
  costOf(place: number): number {
    return this.#speed * this.#costs[place]!
  }

  predict(features: Float64Array): number {
    let total = 0
    for (let place = 0; place < this.#costs.length; place += 1) total += this.#costs[place]! * features[place]!
    return this.#speed * total
  }

  /** What work of these features took. Measurements of nothing, or of no work, teach nothing. */
  observe(features: Float64Array, measured: number): void {
    const predicted = this.predict(features)
    if (!(measured > 0) || !(predicted > 0)) return
    const residual = Math.max(-MAX_RESIDUAL, Math.min(MAX_RESIDUAL, measured / predicted - 1))
    this.#adjust(features, (residual * predicted) / this.#speed, predicted / this.#speed)
    this.#speed *= 1 + residual * Math.max(SPEED_WEIGHT, 1 / (2 + this.#numSeen))
    this.#numSeen += 1
  }

  #adjust(features: Float64Array, error: number, predicted: number): void {
    const size = this.#costs.length
    let spread = 0
    for (let row = 0; row < size; row += 1) {
      let gain = 0
      for (let column = 0; column < size; column += 1) gain += this.#covariance[row * size + column]! * features[column]!
      this.#gain[row] = gain
      spread += gain * features[row]!
    }
    if (!(spread > 0)) return
    const variance = spread + (NOISE * predicted) ** 2
    const shrink = 1 / variance - 1 / (MEMORY * spread)
    for (let row = 0; row < size; row += 1) {
      this.#costs[row] = Math.max(this.#least[row]!, this.#costs[row]! + (this.#gain[row]! * error) / variance)
      for (let column = 0; column < size; column += 1) this.#covariance[row * size + column]! -= shrink * this.#gain[row]! * this.#gain[column]!
    }
  }
}
