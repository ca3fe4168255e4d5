// A whole scenario: seeds x rates x variants on worker threads, and the report of what they brought.
import { scenarioReport } from '../report/scenario-report.ts'
import type { ScenarioReport } from '../report/scenario-report.ts'
import type { Scenario } from '../scenario/scenario.ts'
import { jobsOf } from './jobs.ts'
import { runJobs } from './pool/worker-pool.ts'
import { Progress } from './progress.ts'
import { kvTokensOf } from './trial/hardware.ts'

export interface RunOptions {
  readonly seeds: readonly number[]
  readonly numThreads: number
  /** Gets a line now and then. */
  readonly progress: (line: string) => void
  /** Aborting ends the run with the report of what is complete. */
  readonly signal: AbortSignal
}

const PROGRESS_EVERY_MS = 1_000

/** Rejects with RubatoError when a trial crashed. */
export async function runScenario(scenario: Scenario, { seeds, numThreads, progress: write, signal }: RunOptions): Promise<ScenarioReport> {
  const jobs = jobsOf(scenario, seeds)
  const progress = new Progress(jobs, scenario.variants.map(({ name }) => name), scenario.search !== null)
  const startMs = performance.now()
  const show = (): void => write(progress.line(performance.now() - startMs))
  const ticker = setInterval(show, PROGRESS_EVERY_MS)
  try {
    const results = await runJobs({
      scenario, jobs, numThreads, signal,
      onProgress: (index, running) => progress.update(index, running),
      onDone: (index) => progress.done(index),
    })
    show()
    const complete = results.filter((result) => result !== undefined)
    return scenarioReport(scenario, seeds, (variant, group) => kvTokensOf(scenario.variants[variant]!.fleet[group]!), {
      trials: complete.flatMap(({ trial }) => trial ?? []),
      searches: complete.flatMap(({ search }) => search ?? []),
      complete: complete.length === jobs.length,
    })
  } finally {
    clearInterval(ticker)
  }
}
