// Step times by DistServe's forms, for steps as our instances make them:
//
// - a cell behind a context costs what its share of the whole prompt costs: lengths add up, and so do the differences of
//   squared lengths, so that the cells of a prompt together cost the prompt plus one fixed part per step;
// - a mixed step pays the fixed part once: its decodes ride on the prompt's pass over the weights;
// - a draft node costs what a further sequence costs;
// - an instance runs one step at a time, so a step takes all its stages: pipelines do not overlap steps here.
import type { StepWork } from '@rubato/policy'
import { emptySums, sumStep } from '../step-sums.ts'
import type { StepTimer } from '../step-timer.ts'
import { decodeCoefficients, decodeStageMs, handingOutMs, prefillStageMs } from './distserve-profile.ts'
import type { DistServeForm } from './distserve-profile.ts'

export interface DistServeTimerOptions {
  readonly form: DistServeForm
  /** Pipeline stages. @default 1 */
  readonly pp?: number
  /** With what handing out the work takes. @default true */
  readonly withHandingOut?: boolean
}

/** The models end here; a form whose square term is negative is not followed further. */
const FITTED_TOKENS = 2048

/** Squared lengths that the cells add. `limit`: lengths beyond it add nothing. */
function squaredTokens({ cells }: StepWork, limit: number): number {
  let squared = 0
  for (let i = 0; i < cells.length; i++) {
    const { cellTokens, contextTokens } = cells[i]!
    squared += Math.min(contextTokens + cellTokens, limit) ** 2 - Math.min(contextTokens, limit) ** 2
  }
  return squared
}

export function distServeTimer({ form, pp = 1, withHandingOut = true }: DistServeTimerOptions): StepTimer {
  const limit = form.prefill[2] < 0 ? FITTED_TOKENS : Infinity
  const sums = emptySums()
  return {
    stepMs(work) {
      sumStep(work, sums)
      const { cellTokens, cellReads, decodeRows, contextTokens, numDecodes } = sums
      if (cellTokens + decodeRows === 0) return 0
      const prefillMs = cellTokens === 0 ? 0 : prefillStageMs(form, cellTokens, squaredTokens(work, limit), pp)
      const sharedMs = cellTokens === 0 ? 0 : decodeCoefficients(form, decodeRows)[0] / pp
      const decodeMs = decodeRows === 0 ? 0 : decodeStageMs(form, decodeRows, contextTokens + numDecodes, pp) - sharedMs
      const overheadMs = withHandingOut ? handingOutMs(contextTokens + cellReads) : 0
      return pp * (prefillMs + decodeMs) + overheadMs
    },
  }
}
