// What an instance would learn of a simulated accelerator at start-up: the points that a live profile measures, timed, and the
// model that it fits to them.
import { ROOM_TOKENS, profileModel, profilePlan } from '@rubato/model/profile'
import type { ProfilePlanPoint } from '@rubato/model/profile'
import type { EngineShape } from '@rubato/model'
import type { CostPoint, StepCostModel, StepWork } from '@rubato/policy'
import type { StepTimer } from '../step-timer.ts'

/** What a profile may measure. */
export interface ProfileRanges {
  readonly shape: EngineShape
  /** Largest batch that will be served. */
  readonly maxNumSeqs: number
}

function workOf(point: ProfilePlanPoint): StepWork {
  if (point.kind === 'cell') return { cells: [point], decodes: [] }
  const nodes = point.kind === 'verify' ? point.nodes : 0
  return { cells: [], decodes: Array.from({ length: point.batch }, () => ({ contextTokens: point.contextTokens, nodes })) }
}

/** Every point of the live plan, as long as the timer says it takes. */
export function profilePointsOf(timer: StepTimer, { shape, maxNumSeqs }: ProfileRanges): CostPoint[] {
  return profilePlan(shape, maxNumSeqs, ROOM_TOKENS).map((point) => ({ ...point, ms: timer.stepMs(workOf(point)) }))
}

/** What the policies of an instance believe of it before any step has corrected them. */
export function profileOf(timer: StepTimer, ranges: ProfileRanges): StepCostModel {
  return profileModel(profilePointsOf(timer, ranges))
}
