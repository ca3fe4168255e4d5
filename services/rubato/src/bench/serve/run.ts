// One benchmark run, from options to report: find the model, calibrate, warm up, send on schedule, summarise.
import { setMaxListeners } from 'node:events'
import { RubatoError } from '@rubato/config'
import { randomStream } from '@rubato/sim'
import { openClient } from './client/open-client.ts'
import type { GenerateClient } from './client/generate-client.ts'
import { measureBaseline } from './calibrate.ts'
import { calibrationNeeds } from './dataset/mixed-slo.ts'
import type { Baseline } from './dataset/mixed-slo.ts'
import { planRequests } from './dataset/plan.ts'
import type { PlanContext } from './dataset/plan.ts'
import type { PlannedRequest } from './dataset/planned-request.ts'
import { drawArrivalsMs, scaleArrivalsMs } from './load/arrivals.ts'
import { MONOTONIC_CLOCK } from './load/clock.ts'
import type { Clock } from './load/clock.ts'
import { runOpenLoop } from './load/open-loop.ts'
import type { BenchServeOptions } from './options.ts'
import { Progress } from './progress.ts'
import type { RunRecord } from './report/attainment.ts'
import { buildReport } from './report/report.ts'
import type { BenchServeReport } from './report/report.ts'

export interface BenchServeIo {
  /** Gets a line now and then. */
  readonly progress: (line: string) => void
  /** Aborting stops the sending; what had ended by then is reported. */
  readonly signal: AbortSignal
}

const PROGRESS_EVERY_MS = 1000
/** Warm-up prompts must not be those of the run: they would warm its prefix cache. */
const WARMUP_SEED_MASK = 0x5eed

/** When each planned request is sent, milliseconds from the start. A data set with times of its own keeps their shape. */
export function arrivalsOf(requests: readonly PlannedRequest[], options: BenchServeOptions): number[] {
  const { requestRatePerSec, burstiness } = options.load
  const own = requests.map((request) => request.arrivalMs).filter((arrivalMs) => arrivalMs !== null)
  if (own.length > 0) return scaleArrivalsMs(own, requestRatePerSec)
  if (requestRatePerSec === null) return requests.map(() => 0)
  return drawArrivalsMs(randomStream(options.seed, 'arrivals'), requests.length, { requestRatePerSec, burstiness })
}

async function chooseModel(client: GenerateClient, options: BenchServeOptions, signal: AbortSignal): Promise<string> {
  if (options.model !== null) return options.model
  const [first] = await client.models(signal)
  if (first === undefined) throw new RubatoError('unavailable', 'the server lists no model; name one with --model')
  return first
}

interface Session {
  readonly options: BenchServeOptions
  readonly io: BenchServeIo
  readonly clock: Clock
  readonly client: GenerateClient
  readonly model: string
}

async function warmUp({ options, io, client, model }: Session, context: PlanContext): Promise<void> {
  const numPrompts = options.load.numWarmups
  if (numPrompts === 0) return
  io.progress(`warming up with ${numPrompts} requests`)
  const requests = planRequests({ ...options.dataset, numPrompts }, { ...context, seed: options.seed ^ WARMUP_SEED_MASK })
  for (const request of requests) {
    if (io.signal.aborted) return
    const { end } = await client.generate(model, request, io.signal)
    if (end.kind === 'failed') throw new RubatoError('unavailable', `warm-up request failed: ${end.message}`)
  }
}

async function baselineOf({ options, io, client, model }: Session): Promise<Baseline | null> {
  if (options.dataset.name !== 'mixed-slo') return null
  const needs = calibrationNeeds(options.dataset.classes, options.dataset.baselineTpotMs)
  if (needs.ttft || needs.tpot) io.progress('calibrating: one request at a time')
  const baseline = await measureBaseline(options, (request) => client.generate(model, request, io.signal))
  const ttfts = Object.entries(baseline.ttftMsOf).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`)
  io.progress(`baseline: TPOT ${baseline.tpotMs === null ? 'not measured' : `${baseline.tpotMs.toFixed(2)} ms`}${ttfts.length > 0 ? `, TTFT ${ttfts.join(', ')}` : ''}`)
  return baseline
}

async function measure(session: Session, baseline: Baseline | null, requests: readonly PlannedRequest[]): Promise<BenchServeReport> {
  const { options, io, clock, client, model } = session
  const progress = new Progress(requests.length)
  const records: RunRecord[] = []
  const startedAt = new Date()
  const beganMs = clock.nowMs()
  const ticker = setInterval(() => io.progress(progress.line(clock.nowMs() - beganMs)), PROGRESS_EVERY_MS)
  const send = async (request: PlannedRequest, scheduledMs: number): Promise<void> => {
    progress.sent()
    const answer = await client.generate(model, request, io.signal)
    progress.ended(answer)
    records.push({ request, scheduledMs, answer })
  }
  try {
    const end = await runOpenLoop({ requests, arrivalsMs: arrivalsOf(requests, options), maxConcurrency: options.load.maxConcurrency, clock, signal: io.signal, send })
    const ordered = records.toSorted((a, b) => a.request.index - b.request.index)
    return buildReport({ options, model, records: ordered, numPlanned: requests.length, ...end, baseline, startedAt })
  } finally {
    clearInterval(ticker)
  }
}

/**
 * Runs the benchmark. Failed requests are part of the report; it throws only where no run is possible: InvalidArgument for an option, RubatoError
 * `unavailable` when the server cannot be asked for its models, or fails the calibration or the warm-up.
 */
export async function runBenchServe(options: BenchServeOptions, io: BenchServeIo): Promise<BenchServeReport> {
  setMaxListeners(0, io.signal)
  const clock = MONOTONIC_CLOCK
  const client = openClient(options, clock)
  try {
    const model = await chooseModel(client, options, io.signal)
    const session: Session = { options, io, clock, client, model }
    const baseline = await baselineOf(session)
    const context: PlanContext = { seed: options.seed, asText: options.target.backend === 'openai-chat', baseline }
    const requests = planRequests(options.dataset, context)
    await warmUp(session, context)
    io.progress(`sending ${requests.length} requests to ${model} at ${options.load.requestRatePerSec ?? 'inf'} requests/s`)
    return await measure(session, baseline, requests)
  } finally {
    client.close()
  }
}
