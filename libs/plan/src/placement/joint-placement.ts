// DistServe's Algorithm 2: a prefill and a decode instance are tried together, and the best pair is replicated.
import { bestPlacement, bisectCapacity, enumeratePlacements, numGpus, simulateDistServe } from '@rubato/sim/reference'
import type { DistServePlacement, PlacementResult } from '@rubato/sim/reference'
import { checkPlacementProblem, passes } from './problem.ts'
import type { PlacementProblem } from './problem.ts'

export interface RankedPlacement extends PlacementResult {
  /** Of one pair. */
  readonly numGpus: number
}

export interface PlacementPlan {
  readonly best: RankedPlacement
  /** Pairs that carry the rate. */
  readonly numPairs: number
  readonly numGpus: number
}

export interface JointPlacement {
  /** null: no placement passes at any rate. */
  readonly plan: PlacementPlan | null
  /** Every placement that was tried: best first, of equals the one with fewer GPUs. */
  readonly ranked: readonly RankedPlacement[]
  /** False: stopped early; what is here was searched to its end. */
  readonly complete: boolean
}

/** How far a search is. */
export interface PlacementProgress {
  readonly numTried: number
  readonly numPlacements: number
}

/**
 * Yields before each placement; given false, it ends with the best so far. Throws InvalidArgument for a problem that makes
 * no sense. log2(maxRate / tolerance) simulations per placement.
 */
export function* jointPlacement(problem: PlacementProblem): Generator<PlacementProgress, JointPlacement, boolean | undefined> {
  checkPlacementProblem(problem)
  const placements = enumeratePlacements(problem.space)
  const tried: RankedPlacement[] = []
  let complete = true
  for (const [numTried, placement] of placements.entries()) {
    complete = (yield { numTried, numPlacements: placements.length }) !== false
    if (!complete) break
    const ratePerGpu = rateOfPair(placement, problem)
    if (ratePerGpu !== undefined) tried.push({ placement, ratePerGpu, numGpus: numGpus(placement) })
  }
  const ranked = tried.toSorted((a, b) => b.ratePerGpu - a.ratePerGpu || a.numGpus - b.numGpus)
  return { plan: planOf(tried, problem.ratePerSec), ranked, complete }
}

/** Undefined: nothing was measured for one of its instances. */
function rateOfPair(placement: DistServePlacement, problem: PlacementProblem): number | undefined {
  const { instance, workload, search } = problem
  const [prefill, decode] = [placement.prefill, placement.decode].map(({ tp, pp }) => instance({ tp, pp: placement.numSegments * pp }))
  if (prefill === undefined || decode === undefined) return undefined
  const gpus = numGpus(placement)
  return bisectCapacity((ratePerGpu) => passes(simulateDistServe({ mode: 'pair', prefill: [prefill], decode: [decode] }, workload(ratePerGpu * gpus)), problem), search)
}

function planOf(tried: readonly RankedPlacement[], ratePerSec: number): PlacementPlan | null {
  const best = bestPlacement(tried)
  if (best === undefined || best.ratePerGpu === 0) return null
  const gpus = numGpus(best.placement)
  const numPairs = Math.ceil(ratePerSec / (best.ratePerGpu * gpus))
  return { best: { ...best, numGpus: gpus }, numPairs, numGpus: numPairs * gpus }
}
