// One seed of a swarm: draws plans until one's faults hit work that is under way, and runs it.
import { drawPlan } from '../draw/draw-plan.ts'
import type { SwarmPlan } from '../draw/plan.ts'
import { runPlan } from './run-plan.ts'
import type { Mutation, RunResult } from './run-plan.ts'

export interface SeedRun {
  readonly plan: SwarmPlan
  readonly result: RunResult
}

/** Faults that must have hit something: a seed with fewer proves too little. */
export const MIN_HITS = 3
const MAX_ATTEMPTS = 5

export function runSeed(seed: number, mutation?: Mutation): SeedRun {
  for (let attempt = 0; ; attempt++) {
    const plan = drawPlan(seed, attempt)
    const result = runPlan(plan, mutation === undefined ? {} : { mutation })
    if (result.violation !== null || result.strikes.length >= MIN_HITS || attempt + 1 === MAX_ATTEMPTS) return { plan, result }
  }
}
