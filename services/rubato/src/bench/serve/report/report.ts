// The report of a run. Field names are those of `vllm bench serve`, and an interface to scripts: they may be added to, not renamed.
import type { Answer } from '../client/generate-client.ts'
import type { Baseline } from '../dataset/mixed-slo.ts'
import type { BenchServeOptions } from '../options.ts'
import { attainmentOf, targetsFor } from './attainment.ts'
import type { RunRecord } from './attainment.ts'
import { detailOf, sloFields } from './detail.ts'
import type { ReportDetail, SloFields } from './detail.ts'
import { latencyFields } from './latencies.ts'
import type { LatencyFields } from './latencies.ts'
import { peakConcurrency, peakTokensPerSec } from './peaks.ts'

/** What a run left behind. */
export interface RunResult {
  readonly options: BenchServeOptions
  readonly model: string
  /** Every request that was sent. */
  readonly records: readonly RunRecord[]
  readonly numPlanned: number
  readonly startMs: number
  readonly endMs: number
  readonly maxLagMs: number
  readonly baseline: Baseline | null
  /** When it began, by the wall clock. */
  readonly startedAt: Date
}

/** Rates are per second of duration, durations seconds, `*_ms` milliseconds; null: not measured or not asked for. */
interface ReportHead {
  /** YYYYMMDD-HHMMSS, UTC. */
  readonly date: string
  readonly endpoint_type: string
  readonly backend: string
  readonly label: string | null
  readonly model_id: string
  readonly dataset_name: string
  readonly num_prompts: number
  readonly seed: number
  readonly request_rate: number | 'inf'
  readonly burstiness: number
  readonly max_concurrency: number | null
}

interface ReportCounts {
  readonly duration: number
  readonly completed: number
  readonly failed: number
  /** Stopped by the user while under way; in no other count. */
  readonly interrupted: number
  /** Completed and failed: what attainment is a share of. */
  readonly offered: number
  readonly total_input_tokens: number
  readonly total_output_tokens: number
  readonly request_throughput: number
  readonly request_goodput: number | null
  readonly output_throughput: number
  readonly total_token_throughput: number
  /** Whether each gap of `itl` is a token's or, where the server does not say how many tokens a chunk has, a chunk's. */
  readonly itl_per: 'token' | 'chunk'
  readonly max_output_tokens_per_s: number
  readonly max_concurrent_requests: number
  /** Share of offered requests that met all their targets. */
  readonly slo_attainment: number | null
  readonly tpot_attainment: number | null
  /** Output tokens per second of requests that met their targets (AdaServe). */
  readonly slo_goodput: number | null
  /** How far the generator itself fell behind its schedule. */
  readonly max_send_lag_ms: number
  readonly error_counts: Readonly<Record<string, number>>
}

interface ClassHead {
  readonly name: string
  readonly offered: number
  readonly completed: number
  readonly failed: number
  readonly slo: SloFields | null
  readonly slo_attainment: number | null
  readonly tpot_attainment: number | null
}

export type ClassReport = ClassHead & LatencyFields

interface MixedSloFields {
  readonly classes: readonly ClassReport[]
  readonly baseline: { readonly tpot_ms: number | null; readonly ttft_ms: Readonly<Record<string, number>> }
}

export type BenchServeReport = ReportHead & ReportCounts & LatencyFields & Partial<MixedSloFields> & Partial<ReportDetail>

const MAX_ERROR_KINDS = 20
const ALWAYS_PERCENTILES = [90, 99]

function errorCounts(records: readonly RunRecord[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { answer } of records) {
    if (answer.end.kind !== 'failed') continue
    const { message } = answer.end
    const key = counts.has(message) || counts.size < MAX_ERROR_KINDS ? message : 'other'
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return Object.fromEntries(counts)
}

export function reportPercentiles(options: BenchServeOptions): number[] {
  return [...new Set([...ALWAYS_PERCENTILES, ...options.report.metricPercentiles])].toSorted((a, b) => a - b)
}

function countsOf(result: RunResult, offered: readonly RunRecord[], completed: readonly Answer[]): ReportCounts {
  const durationS = (result.endMs - result.startMs) / 1000
  const perSec = (amount: number): number => (durationS > 0 ? amount / durationS : 0)
  const sum = (measure: (answer: Answer) => number): number => completed.reduce((total, answer) => total + measure(answer), 0)
  const [inputTokens, outputTokens] = [sum((answer) => answer.promptTokens), sum((answer) => answer.outputTokens)]
  const attainment = attainmentOf(offered, result.options.goodput)
  const hasTargets = attainment.sloRatio !== null
  return {
    duration: durationS,
    completed: completed.length,
    failed: offered.length - completed.length,
    interrupted: result.records.length - offered.length,
    offered: offered.length,
    total_input_tokens: inputTokens,
    total_output_tokens: outputTokens,
    request_throughput: perSec(completed.length),
    request_goodput: hasTargets ? perSec(attainment.numMet) : null,
    output_throughput: perSec(outputTokens),
    total_token_throughput: perSec(inputTokens + outputTokens),
    itl_per: completed.every((answer) => answer.hasExactChunks) ? 'token' : 'chunk',
    max_output_tokens_per_s: peakTokensPerSec(completed),
    max_concurrent_requests: peakConcurrency(completed),
    slo_attainment: attainment.sloRatio,
    tpot_attainment: attainment.tpotRatio,
    slo_goodput: hasTargets ? perSec(attainment.tokensMet) : null,
    max_send_lag_ms: result.maxLagMs,
    error_counts: errorCounts(offered),
  }
}

const completedOf = (records: readonly RunRecord[]): Answer[] => records.filter(({ answer }) => answer.end.kind === 'completed').map(({ answer }) => answer)

function classReport(name: string, offered: readonly RunRecord[], options: BenchServeOptions): ClassReport {
  const members = offered.filter(({ request }) => request.className === name)
  const completed = completedOf(members)
  const attainment = attainmentOf(members, options.goodput)
  const [first] = members
  const targets = first === undefined ? null : targetsFor(first.request, options.goodput)
  return {
    name,
    offered: members.length,
    completed: completed.length,
    failed: members.length - completed.length,
    slo: targets === null ? null : sloFields(targets),
    slo_attainment: attainment.sloRatio,
    tpot_attainment: attainment.tpotRatio,
    ...latencyFields(completed, reportPercentiles(options)),
  }
}

function headOf({ options, model, numPlanned, startedAt }: RunResult): ReportHead {
  const { target, dataset, load, report } = options
  return {
    date: startedAt.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-'),
    endpoint_type: target.backend,
    backend: target.backend,
    label: report.label,
    model_id: model,
    dataset_name: dataset.name,
    num_prompts: numPlanned,
    seed: options.seed,
    request_rate: load.requestRatePerSec ?? 'inf',
    burstiness: load.burstiness,
    max_concurrency: load.maxConcurrency,
  }
}

export function buildReport(result: RunResult): BenchServeReport {
  const { options, baseline } = result
  const offered = result.records.filter(({ answer }) => answer.end.kind !== 'interrupted')
  const completed = completedOf(offered)
  const mixed = options.dataset.name === 'mixed-slo'
    ? {
      classes: options.dataset.classes.map(({ name }) => classReport(name, offered, options)),
      baseline: { tpot_ms: baseline?.tpotMs ?? null, ttft_ms: baseline?.ttftMsOf ?? {} },
    }
    : {}
  return {
    ...options.report.metadata,
    ...headOf(result),
    ...countsOf(result, offered, completed),
    ...latencyFields(completed, reportPercentiles(options)),
    ...mixed,
    ...(options.report.detailed ? detailOf(result.records, options.goodput, result.startMs) : {}),
  }
}
