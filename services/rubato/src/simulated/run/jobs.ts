// What a scenario comes down to: jobs that know nothing of each other, and what each brings.
import type { SearchReport } from '../report/scenario-report.ts'
import type { TrialReport } from '../report/trial-report.ts'
import type { Scenario } from '../scenario/scenario.ts'
import type { TrialProgress } from './trial/run-trial.ts'

/** A trial, or with a search all the trials of one variant and seed. */
export interface Job {
  /** Index of its variant. */
  readonly variant: number
  readonly seed: number
  /** null: a trace's own speed, or what the search asks for. */
  readonly ratePerSec: number | null
  /** Whether its trial keeps what plots are drawn from. */
  readonly keepsDetails: boolean
}

export interface JobResult {
  /** null: no rate passed. */
  readonly trial: TrialReport | null
  /** null: the scenario searches nothing. */
  readonly search: SearchReport | null
}

export interface JobProgress extends TrialProgress {
  /** Of the search, from 1; 1 elsewhere. */
  readonly trial: number
  readonly ratePerSec: number | null
}

/** Seeds innermost: variants of one rate are complete early. */
export function jobsOf({ variants, workload: { rate, rates }, search }: Scenario, seeds: readonly number[]): Job[] {
  const all = search !== null ? [null] : (rates ?? [rate])
  return all.flatMap((ratePerSec) => seeds.flatMap((seed) => variants.map((_, variant): Job => ({ variant, seed, ratePerSec, keepsDetails: seed === seeds[0] }))))
}
