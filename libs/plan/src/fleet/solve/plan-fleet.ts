// The cheapest fleet for a load (Mélange §5), with the proof of how cheap it could be.
import type { MilpOutcome, MilpSolver } from '../../milp/milp.ts'
import { checkFleetProblem } from '../problem/check-problem.ts'
import { loadedBuckets, sliceLoad } from '../problem/problem.ts'
import type { FleetProblem } from '../problem/problem.ts'
import { compactFormulation, sliceFormulation, withFixedCounts, withSharedSlices } from './formulation.ts'
import type { Formulation } from './formulation.ts'

export interface FleetPlan {
  /** Instances by type. */
  readonly counts: readonly number[]
  readonly usdPerHour: number
  /** Load by type, in instances: at most its count. */
  readonly loads: readonly number[]
  /** Where requests of each bucket go: share by type, 0..1, that sum to 1; all 0 for a bucket without load. */
  readonly weights: readonly (readonly number[])[]
  /** No fleet costs less. */
  readonly boundUsdPerHour: number
  /** (cost - bound) / cost, 0..1; 0: the plan is optimal. */
  readonly gapRatio: number
}

export type FleetOutcome =
  | { readonly kind: 'planned'; readonly plan: FleetPlan }
  /** No type can serve these buckets within the SLO. */
  | { readonly kind: 'unservable'; readonly buckets: readonly number[] }
  /** All that is in stock does not carry the load. */
  | { readonly kind: 'short-of-stock' }
  /** No fleet was found within the time limit. */
  | { readonly kind: 'out-of-time' }

export interface PlanFleetOptions {
  /** @default compact */
  readonly formulation?: 'compact' | 'slices'
  /** Seconds of each of the up to three searches; the best fleet until then is returned with its gap. @default 10 */
  readonly timeLimitSec?: number
}

const DEFAULT_TIME_LIMIT_SEC = 10
/** A load that exceeds a whole number by less is that number: quotients of rates carry rounding errors. */
export const LOAD_TOLERANCE = 1e-7
/** A gap below this is the rounding of a sum of prices. */
const GAP_TOLERANCE = 1e-9

/** Throws InvalidArgument for a problem that makes no sense. */
export function planFleet(problem: FleetProblem, solver: MilpSolver, { formulation = 'compact', timeLimitSec = DEFAULT_TIME_LIMIT_SEC }: PlanFleetOptions = {}): FleetOutcome {
  checkFleetProblem(problem)
  const unservable = loadedBuckets(problem).filter((bucket) => problem.types.every((_, type) => sliceLoad(problem, bucket, type) === null))
  if (unservable.length > 0) return { kind: 'unservable', buckets: unservable }
  if (loadedBuckets(problem).length === 0) return { kind: 'planned', plan: planOf(problem, problem.ratePerSec.map(() => problem.types.map(() => 0)), 0) }
  const program = formulation === 'compact' ? compactFormulation(problem) : sliceFormulation(problem)
  const outcome = formulation === 'compact' ? solveCountsFirst(program, solver, timeLimitSec) : solver(program.milp, { timeLimitSec })
  if (outcome.kind === 'infeasible') return { kind: 'short-of-stock' }
  if (outcome.kind === 'out-of-time') return outcome
  return { kind: 'planned', plan: planOf(problem, program.slicesOf(outcome.values), outcome.bound) }
}

/**
 * Counts first, as if slices could be shared between types: few integers, and no fleet is cheaper. Mostly the slices then fit
 * those very counts, which proves them optimal. Where they do not, the whole program is solved, up to the time limit.
 */
function solveCountsFirst(program: Formulation, solver: MilpSolver, timeLimitSec: number): MilpOutcome {
  const counts = solver(withSharedSlices(program), { timeLimitSec })
  if (counts.kind !== 'solved') return counts
  const fitted = solver(withFixedCounts(program, counts.values), { timeLimitSec })
  if (fitted.kind === 'solved') return { ...fitted, cost: counts.cost, bound: counts.bound }
  const whole = solver(program.milp, { timeLimitSec })
  return whole.kind === 'solved' ? { ...whole, bound: Math.max(whole.bound, counts.bound) } : whole
}

function planOf(problem: FleetProblem, slices: readonly (readonly number[])[], bound: number): FleetPlan {
  const { types, sliceFactor } = problem
  const loads = types.map((_, type) => slices.reduce((sum, own, bucket) => sum + (own[type] === 0 ? 0 : own[type]! * sliceLoad(problem, bucket, type)!), 0))
  const counts = loads.map(instancesFor)
  const usdPerHour = costOf(problem, counts)
  const gapRatio = usdPerHour - bound <= GAP_TOLERANCE ? 0 : (usdPerHour - bound) / usdPerHour
  return { counts, usdPerHour, loads, weights: slices.map((own) => own.map((count) => count / sliceFactor)), boundUsdPerHour: gapRatio === 0 ? usdPerHour : bound, gapRatio }
}

/** Instances that carry a load. */
export function instancesFor(load: number): number {
  return Math.max(0, Math.ceil(load - LOAD_TOLERANCE))
}

function costOf({ types }: FleetProblem, counts: readonly number[]): number {
  return types.reduce((sum, { usdPerHour }, type) => sum + usdPerHour * counts[type]!, 0)
}
