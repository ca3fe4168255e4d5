// A cost that is linear in a few features, learnt online: begins at a guess and follows what is measured. A Kalman filter: all costs
// drift together, with the speed of a machine that others use too; what features cost beside each other is forgotten slowly.
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
/** Spread of one measurement; of the machine's speed at first, and of its change from one measurement to the next. Relative. */
const NOISE = 0.1
const SPEED_DOUBT = 0.3
const SPEED_DRIFT = 0.01

export class LearntCost {
  readonly #costs: Float64Array
  readonly #least: Float64Array
  /** Row by row. */
  readonly #covariance: Float64Array
  readonly #gain: Float64Array

  constructor(terms: readonly CostTerm[]) {
    const size = terms.length
    this.#costs = Float64Array.from(terms, ({ guess, least }) => Math.max(guess, least))
    this.#least = Float64Array.from(terms, ({ least }) => least)
    this.#gain = new Float64Array(size)
    this.#covariance = new Float64Array(size * size)
    for (const [place, { doubt }] of terms.entries()) this.#covariance[place * (size + 1)] = doubt ** 2
    this.#doubtSpeed(SPEED_DOUBT)
  }

  /** Of one unit of a feature. */
  costOf(place: number): number {
    return this.#costs[place]!
  }

  predict(features: Float64Array): number {
    let total = 0
    for (let place = 0; place < this.#costs.length; place += 1) total += this.#costs[place]! * features[place]!
    return total
  }

  /** What work of these features took. Measurements of nothing, or of no work, teach nothing. */
  observe(features: Float64Array, measured: number): void {
    const predicted = this.predict(features)
    if (!(measured > 0) || !(predicted > 0)) return
    this.#doubtSpeed(SPEED_DRIFT)
    const residual = Math.max(-MAX_RESIDUAL, Math.min(MAX_RESIDUAL, measured / predicted - 1))
    const spread = this.#gainOf(features)
    const variance = spread + (NOISE * predicted) ** 2
    const shrink = 1 / variance - 1 / (MEMORY * spread)
    const size = this.#costs.length
    for (let row = 0; row < size; row += 1) {
      this.#costs[row]! += (this.#gain[row]! * residual * predicted) / variance
      for (let column = 0; column < size; column += 1) this.#covariance[row * size + column]! -= shrink * this.#gain[row]! * this.#gain[column]!
    }
    this.#raiseToLeast()
  }

  /** What a cost is raised by, costs that were measured together with it are lowered by, as far as measurements could not tell them apart. */
  #raiseToLeast(): void {
    const size = this.#costs.length
    for (let place = 0; place < size; place += 1) {
      const short = this.#least[place]! - this.#costs[place]!
      const variance = this.#covariance[place * (size + 1)]!
      if (short <= 0 || !(variance > 0)) continue
      for (let row = 0; row < size; row += 1) this.#costs[row]! += (short * this.#covariance[row * size + place]!) / variance
    }
    for (let place = 0; place < size; place += 1) this.#costs[place] = Math.max(this.#least[place]!, this.#costs[place]!)
  }

  /** All costs may have changed by the same ratio. */
  #doubtSpeed(ratio: number): void {
    const size = this.#costs.length
    for (let row = 0; row < size; row += 1) {
      for (let column = 0; column < size; column += 1) this.#covariance[row * size + column]! += ratio ** 2 * this.#costs[row]! * this.#costs[column]!
    }
  }

  /** Covariance times features, kept for the update; the variance of their prediction. */
  #gainOf(features: Float64Array): number {
    const size = this.#costs.length
    let spread = 0
    for (let row = 0; row < size; row += 1) {
      let gain = 0
      for (let column = 0; column < size; column += 1) gain += this.#covariance[row * size + column]! * features[column]!
      this.#gain[row] = gain
      spread += gain * features[row]!
    }
    return spread
  }
}
