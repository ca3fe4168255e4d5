// Learns the acceptance curves of one class of requests online: logistic regression by recursive least squares with forgetting.
//
// 1. Only nodes whose parent was accepted are evidence: below a rejected node nothing was decided.
// 2. Forgetting is of what is being seen: gaps that do not occur for a while leave the curve as certain there as it was.
import { sigmoid, signedGap } from '../calibration.ts'
import type { AcceptanceCurve, Calibration } from '../calibration.ts'

/** One node that the target's own draw decided. */
export interface AcceptanceEvidence {
  readonly rank: number
  readonly gap: number
  readonly accepted: boolean
}

/** The past is forgotten over about this many nodes of a rank. */
const MEMORY = 50
/** How far a fresh curve may be off. */
const BIAS_DOUBT = 1
const SLOPE_DOUBT = 0.5
/** One node moves a curve no more than if its acceptance had been this uncertain. */
const LEAST_VARIANCE = 0.05

class CurveLearner {
  #bias: number
  #slope: number
  #weight: number
  /** Covariance of bias and slope. */
  #biasVariance = BIAS_DOUBT ** 2
  #covariance = 0
  #slopeVariance = SLOPE_DOUBT ** 2

  constructor({ bias, slope, weight }: AcceptanceCurve) {
    this.#bias = bias
    this.#slope = slope
    this.#weight = weight
  }

  get curve(): AcceptanceCurve {
    return { bias: this.#bias, slope: this.#slope, weight: this.#weight }
  }

  learn({ rank, gap, accepted }: AcceptanceEvidence): void {
    const signed = signedGap(rank, gap)
    const expected = sigmoid(this.#bias + this.#slope * signed)
    const biasGain = this.#biasVariance + this.#covariance * signed
    const slopeGain = this.#covariance + this.#slopeVariance * signed
    const certainty = Math.max(LEAST_VARIANCE, expected * (1 - expected))
    const spread = biasGain + slopeGain * signed
    const variance = 1 / certainty + spread
    // The residual in logits, as if the curve were its tangent here.
    const step = (Number(accepted) - expected) / certainty / variance
    this.#bias += biasGain * step
    this.#slope = Math.max(0, this.#slope + slopeGain * step)
    const shrink = 1 / variance - 1 / (MEMORY * spread)
    this.#biasVariance -= shrink * biasGain * biasGain
    this.#covariance -= shrink * biasGain * slopeGain
    this.#slopeVariance -= shrink * slopeGain * slopeGain
    this.#weight = Math.min(MEMORY, this.#weight + 1)
  }
}

export class CalibrationLearner {
  readonly #curves: readonly CurveLearner[]
  #calibration: Calibration | null

  constructor(fresh: Calibration) {
    this.#curves = fresh.curves.map((curve) => new CurveLearner(curve))
    this.#calibration = fresh
  }

  get calibration(): Calibration {
    this.#calibration ??= { curves: this.#curves.map(({ curve }) => curve) }
    return this.#calibration
  }

  learn(evidence: readonly AcceptanceEvidence[]): void {
    for (const node of evidence) this.#curves[Math.min(node.rank, this.#curves.length - 1)]!.learn(node)
    if (evidence.length > 0) this.#calibration = null
  }
}
