// Many seeds on worker threads, one at a time on each, and what they found together.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { addVisits, noVisits, unvisited } from '../coverage/transitions.ts'
import type { TransitionName, Visits } from '../coverage/transitions.ts'
import { MIN_HITS } from '../run/run-seed.ts'
import type { SeedFailure, SeedMessage, SeedReport } from './messages.ts'

export interface CampaignOptions {
  readonly seeds: readonly number[]
  readonly numThreads: number
  /** Gets a line now and then, and the story of each failure. */
  readonly progress: (line: string) => void
  readonly onFailure: (text: string) => void
  /** Aborting ends the campaign with the report of what is complete. */
  readonly signal: AbortSignal
}

export interface CampaignReport {
  readonly seeds: number
  readonly complete: boolean
  readonly failures: readonly ({ readonly seed: number } & SeedFailure)[]
  /** Seeds whose faults hit too little, however often they were drawn: they prove little. */
  readonly weak_seeds: readonly number[]
  readonly requests: number
  readonly faults: number
  readonly events: number
  readonly duration_s: number
  readonly seeds_per_minute: number
  readonly transitions: Visits
  readonly unvisited: readonly TransitionName[]
  /** Nothing failed, every transition was met, nothing was cut short. */
  readonly passed: boolean
}

const PROGRESS_EVERY_MS = 1_000
/** Fewer seeds cannot be asked to meet every transition. */
export const SEEDS_FOR_COVERAGE = 200

/** Rejects when a thread broke. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { seeds, numThreads, signal, progress } = options
  const reports: SeedReport[] = []
  const startMs = performance.now()
  const ticker = setInterval(() => progress(progressLine(reports, seeds.length, performance.now() - startMs)), PROGRESS_EVERY_MS)
  const workers: Worker[] = []
  const stop = (): void => {
    for (const worker of workers) void worker.terminate()
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    const queue = seeds.values()
    const onReport = (report: SeedReport): void => {
      reports.push(report)
      if (report.failure !== null) options.onFailure(report.failure.text)
    }
    await Promise.all(Array.from({ length: Math.min(numThreads, seeds.length) }, () => runThread({ queue, workers, signal, onReport })))
  } finally {
    clearInterval(ticker)
    signal.removeEventListener('abort', stop)
    stop()
  }
  return campaignReport(reports, seeds.length, performance.now() - startMs)
}

interface Thread {
  /** Shared by all threads. */
  readonly queue: Iterator<number>
  readonly workers: Worker[]
  readonly signal: AbortSignal
  readonly onReport: (report: SeedReport) => void
}

/** Until the queue is empty or the thread is ended. */
async function runThread({ queue, workers, signal, onReport }: Thread): Promise<void> {
  if (signal.aborted) return
  const worker = new Worker(new URL('./worker.ts', import.meta.url))
  workers.push(worker)
  const giveNext = (): void => {
    const { value: seed, done } = queue.next()
    if (done === true) void worker.terminate()
    else worker.postMessage({ seed } satisfies SeedMessage)
  }
  worker.on('message', (report: SeedReport) => {
    onReport(report)
    giveNext()
  })
  giveNext()
  await once(worker, 'exit')
}

export function campaignReport(reports: readonly SeedReport[], numAsked: number, elapsedMs: number): CampaignReport {
  const transitions = noVisits()
  for (const { visits } of reports) addVisits(transitions, visits)
  const sum = (of: (report: SeedReport) => number): number => reports.reduce((total, report) => total + of(report), 0)
  const failures = reports.flatMap(({ seed, failure }) => (failure === null ? [] : [{ seed, ...failure }])).sort((a, b) => a.seed - b.seed)
  const missed = unvisited(transitions)
  const complete = reports.length === numAsked
  return {
    seeds: reports.length, complete, failures,
    weak_seeds: reports.filter(({ numHits, failure }) => failure === null && numHits < MIN_HITS).map(({ seed }) => seed),
    requests: sum(({ numRequests }) => numRequests), faults: sum(({ numHits }) => numHits), events: sum(({ numEvents }) => numEvents),
    duration_s: elapsedMs / 1000, seeds_per_minute: reports.length / (elapsedMs / 60_000), transitions, unvisited: missed,
    passed: complete && failures.length === 0 && (numAsked < SEEDS_FOR_COVERAGE || missed.length === 0),
  }
}

function progressLine(reports: readonly SeedReport[], numAsked: number, elapsedMs: number): string {
  const perMinute = reports.length / (elapsedMs / 60_000)
  const left = reports.length === 0 ? '' : `, ${Math.ceil((numAsked - reports.length) / perMinute)} min left`
  const numFailed = reports.filter(({ failure }) => failure !== null).length
  return `${reports.length} of ${numAsked} seeds, ${perMinute.toFixed(0)} seeds/minute${left}${numFailed === 0 ? '' : `, ${numFailed} failed`}`
}
