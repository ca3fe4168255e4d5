// Drives a fleet with the load generator of `bench serve`: its plan, its schedule, its report.
import { setMaxListeners } from 'node:events'
import { RubatoError } from '@rubato/config'
import { planRequests } from '../../serve/dataset/plan.ts'
import type { PlannedRequest } from '../../serve/dataset/planned-request.ts'
import { MONOTONIC_CLOCK } from '../../serve/load/clock.ts'
import { runOpenLoop } from '../../serve/load/open-loop.ts'
import { BENCH_SERVE_DEFAULTS } from '../../serve/options.ts'
import type { BenchServeOptions } from '../../serve/options.ts'
import { Progress } from '../../serve/progress.ts'
import type { RunRecord } from '../../serve/report/attainment.ts'
import { buildReport } from '../../serve/report/report.ts'
import type { BenchServeReport } from '../../serve/report/report.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { ResumableClient } from './resumable-client.ts'
import type { ResumeCounts } from './resumable-client.ts'

export interface LoadShape {
  readonly numRequests: number
  readonly concurrency: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly seed: number
}

export interface DriveIo {
  readonly progress: (line: string) => void
  readonly signal: AbortSignal
}

export interface DriveResult {
  readonly report: BenchServeReport
  /** In the order of the plan. */
  readonly records: readonly RunRecord[]
  readonly resumes: ResumeCounts
}

const PROGRESS_EVERY_MS = 2000
/** Longer than a lease, a restart and a recovery together. */
const GIVE_UP_MS = 60_000
const SILENCE_MS = 8_000

export function loadOptions({ numRequests, concurrency, inputTokens, outputTokens, seed }: LoadShape): BenchServeOptions {
  const { dataset, load, sampling, target } = BENCH_SERVE_DEFAULTS
  return {
    ...BENCH_SERVE_DEFAULTS,
    target: { ...target, backend: 'rubato-grpc' },
    dataset: { ...dataset, numPrompts: numRequests, inputTokens, outputTokens, rangeRatio: 0.5 },
    load: { ...load, maxConcurrency: concurrency },
    sampling: { ...sampling, temperature: 1, ignoreEos: true },
    seed,
  }
}

export function planFor(options: BenchServeOptions): readonly PlannedRequest[] {
  return planRequests(options.dataset, { seed: options.seed, asText: false, baseline: null })
}

export function clientFor(fleet: Fleet, options: BenchServeOptions, runId: string): ResumableClient {
  return new ResumableClient({ options, clock: MONOTONIC_CLOCK, addresses: () => fleet.routerAddresses(), runId, giveUpMs: GIVE_UP_MS, silenceMs: SILENCE_MS })
}

/** Id of the model that the fleet serves. */
export async function servedModel(client: ResumableClient, signal: AbortSignal): Promise<string> {
  const [model] = await client.models(signal)
  if (model === undefined) throw new RubatoError('unavailable', 'the routers list no model')
  return model
}

/** Sends the whole plan. Failed requests are part of the result. */
export async function drive(fleet: Fleet, shape: LoadShape, runId: string, { progress, signal }: DriveIo): Promise<DriveResult> {
  setMaxListeners(0, signal)
  const options = loadOptions(shape)
  const requests = planFor(options)
  const client = clientFor(fleet, options, runId)
  const counter = new Progress(requests.length)
  const records: RunRecord[] = []
  const startedAt = new Date()
  const beganMs = MONOTONIC_CLOCK.nowMs()
  const ticker = setInterval(() => progress(counter.line(MONOTONIC_CLOCK.nowMs() - beganMs)), PROGRESS_EVERY_MS)
  try {
    const model = await servedModel(client, signal)
    const send = async (request: PlannedRequest, scheduledMs: number): Promise<void> => {
      counter.sent()
      const answer = await client.generate(model, request, signal)
      counter.ended(answer)
      records.push({ request, scheduledMs, answer })
    }
    const end = await runOpenLoop({ requests, arrivalsMs: requests.map(() => 0), maxConcurrency: shape.concurrency, clock: MONOTONIC_CLOCK, signal, send })
    const ordered = records.toSorted((a, b) => a.request.index - b.request.index)
    const report = buildReport({ options, model, records: ordered, numPlanned: requests.length, ...end, baseline: null, startedAt })
    return { report, records: ordered, resumes: { ...client.counts } }
  } finally {
    clearInterval(ticker)
    client.close()
  }
}
