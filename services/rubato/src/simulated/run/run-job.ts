// One job, on the calling thread: a trial, or a search that runs one trial after another.
import type { TraceRow } from '../../bench/serve/dataset/trace-rows.ts'
import type { SearchTrial } from '../report/scenario-report.ts'
import type { TrialReport } from '../report/trial-report.ts'
import { numDevices } from '../scenario/scenario.ts'
import type { Scenario, SearchSpec } from '../scenario/scenario.ts'
import { findCapacity } from '../search/find-capacity.ts'
import { isSureToFail, reasonToFail } from '../search/pass.ts'
import type { Job, JobProgress, JobResult } from './jobs.ts'
import { runTrial } from './trial/run-trial.ts'
import type { TrialResult } from './trial/run-trial.ts'

/** `rows` of the workload's trace. */
export function runJob(scenario: Scenario, rows: readonly TraceRow[], job: Job, onProgress: (progress: JobProgress) => void): JobResult {
  const { trial, search } = scenario.search === null ? runPlain(scenario, rows, { job, onProgress }) : runSearch(scenario, rows, { job, search: scenario.search, onProgress })
  return { search, trial: trial === null || job.keepsDetails ? trial : { ...trial, details: null } }
}

function runPlain(scenario: Scenario, rows: readonly TraceRow[], { job: { variant, seed, ratePerSec }, onProgress }: Omit<SearchContext, 'search'>): JobResult {
  const { report } = runTrial({ scenario, rows, seed, ratePerSec, variant: scenario.variants[variant]!, onProgress: (progress) => onProgress({ ...progress, trial: 1, ratePerSec }) })
  return { trial: report, search: null }
}

interface SearchContext {
  readonly job: Job
  readonly search: SearchSpec
  readonly onProgress: (progress: JobProgress) => void
}

function runSearch(scenario: Scenario, rows: readonly TraceRow[], { job: { variant: index, seed }, search, onProgress }: SearchContext): JobResult {
  const variant = scenario.variants[index]!
  const rates = findCapacity(search)
  const trials: SearchTrial[] = []
  let best: TrialReport | null = null
  let next = rates.next()
  while (next.done !== true) {
    const ratePerSec = next.value
    const trial = trials.length + 1
    const result = runTrial({
      scenario, variant, seed, rows, ratePerSec,
      onProgress: (progress) => onProgress({ ...progress, trial, ratePerSec }),
      isDecided: (recorder, totals) => isSureToFail(recorder, totals, search.pass),
    })
    const tried = searchTrial(result, ratePerSec, search)
    trials.push(tried)
    // Rates that pass only ever rise.
    if (tried.passed) best = result.report
    next = rates.next(tried.passed)
  }
  const capacity = next.value
  const perDevice = search.pass.attainmentRatio === null ? null : capacity / numDevices(variant.fleet)
  return { trial: best, search: { variant: variant.name, seed, capacity, capacity_goodput: perDevice, trials } }
}

function searchTrial({ report, cutShort }: TrialResult, rate: number, { pass }: SearchSpec): SearchTrial {
  const reason = cutShort ? (pass.attainmentRatio === null ? 'p99_tbt_ms' : 'certain to fail') : reasonToFail(report, pass)
  return {
    rate, reason, passed: reason === null, cut_short: cutShort,
    slo_attainment: report.slo_attainment, p99_tbt_ms: report.tbt_ms.p99, p50_scheduling_delay_ms: report.scheduling_delay_ms.p50,
  }
}
