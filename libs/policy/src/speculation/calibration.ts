// How likely the target accepts a draft's candidate. The signal is the gap of perturbed draft logits: of the best candidate to the
// second for rank 0, of the best to itself for the others. Per rank a logistic curve (controller/curve-learner.ts learns them).
//
// 1. A calibration is a plain value, so that it can travel with a command.
// 2. Acceptance falls with rank and gap or is flat: slopes never change sign.

export interface AcceptanceCurve {
  /** Acceptance = sigmoid(bias + slope * gap) for rank 0, sigmoid(bias - slope * gap) beyond; slope >= 0. */
  readonly bias: number
  readonly slope: number
  /** Evidence so far, in nodes, forgotten over time. */
  readonly weight: number
}

export interface Calibration {
  /** One per rank; candidates of a higher rank share the last. */
  readonly curves: readonly AcceptanceCurve[]
}

/** Measured on the bundled pair at temperatures from 0.6 to 1; wrong for others at first, and soon corrected. */
export const FRESH_CALIBRATION: Calibration = {
  curves: [
    { bias: -0.45, slope: 1.15, weight: 0 },
    { bias: -0.75, slope: 1, weight: 0 },
    { bias: -1.35, slope: 0.95, weight: 0 },
    { bias: -1.8, slope: 0.95, weight: 0 },
  ],
}

/** The same, greedy: logits as they are, where sampling sees them divided by the temperature and blurred by noise. */
export const FRESH_GREEDY_CALIBRATION: Calibration = {
  curves: [
    { bias: -0.7, slope: 2.3, weight: 0 },
    { bias: -0.65, slope: 2, weight: 0 },
    { bias: -1.35, slope: 2, weight: 0 },
    { bias: -1.8, slope: 2, weight: 0 },
  ],
}

/** Larger gaps say no more than this one. */
const MAX_GAP = 8

/** What a curve is linear in: the gap, against acceptance beyond rank 0. */
export function signedGap(rank: number, gap: number): number {
  return (rank === 0 ? 1 : -1) * Math.min(gap, MAX_GAP)
}

/** Estimated probability that the target draws this candidate, given that it came this far. Gap >= 0. */
export function conditionalAcceptance({ curves }: Calibration, rank: number, gap: number): number {
  const { bias, slope } = curves[Math.min(rank, curves.length - 1)]!
  return sigmoid(bias + slope * signedGap(rank, gap))
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x))
}
