// What a benchmark run is told, fully resolved; command-flags.ts makes it from the command line.
import type { SloTargets } from './dataset/planned-request.ts'
import type { LatencyName } from './report/latencies.ts'

export type BackendName = 'openai' | 'openai-chat' | 'rubato-grpc'
export type DatasetName = 'random' | 'shakespeare' | 'trace' | 'mixed-slo'

export interface TargetOptions {
  readonly backend: BackendName
  /** Scheme, host and port, no trailing slash; HTTP backends only. */
  readonly baseUrl: string
  /** Path of the generation endpoint; HTTP backends only. */
  readonly endpoint: string
  /** HOST:PORT; `grpcs://HOST:PORT` for TLS. */
  readonly grpcAddress: string
  readonly apiKey: string | null
  /** Sent with every request; gRPC metadata for rubato-grpc. */
  readonly headers: Readonly<Record<string, string>>
  /** Accept any TLS certificate. */
  readonly insecure: boolean
}

export interface SamplingOptions {
  /** 0 is greedy; null: not sent, the server's default. */
  readonly temperature: number | null
  readonly topP: number | null
  readonly topK: number | null
  readonly minP: number | null
  readonly ignoreEos: boolean
  /** Merged over every HTTP request body. */
  readonly extraBody: Readonly<Record<string, unknown>>
  /** Ask HTTP servers for token ids with each chunk (vLLM and Rubato know the field), so that tokens are counted exactly. */
  readonly returnTokenIds: boolean
  /** Tell the server the targets: `dataset`: those the data set sets per request; `always`: also --goodput's. */
  readonly sendSlo: 'dataset' | 'always' | 'never'
}

/** A target as milliseconds, or as a multiple of the calibrated baseline. */
export type TargetRule =
  | { readonly kind: 'ms'; readonly ms: number }
  | { readonly kind: 'times'; readonly factor: number }
  | { readonly kind: 'none' }

export interface SloClass {
  readonly name: string
  /** Relative weight in the mix. */
  readonly share: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly ttft: TargetRule
  readonly tpot: TargetRule
}

export interface DatasetOptions {
  readonly name: DatasetName
  /** Trace file, or text in place of the bundled Shakespeare; null: the bundled text. */
  readonly path: string | null
  readonly numPrompts: number
  /** `random` and `shakespeare`. */
  readonly inputTokens: number
  readonly outputTokens: number
  /** Lengths are uniform in [length * (1 - ratio), length * (1 + ratio)], 0 <= ratio < 1. */
  readonly rangeRatio: number
  /** Tokens at the start of every `random` prompt that all share. */
  readonly prefixTokens: number
  /** Random ids lie in [firstTokenId, vocabSize). */
  readonly vocabSize: number
  readonly firstTokenId: number
  /** How text prompts are cut to a length in tokens. */
  readonly charsPerToken: number
  /** Factor on a trace's lengths, so that traces of large models fit small ones. */
  readonly traceScale: number
  /** Caps on a trace's lengths, after scaling; null: none. */
  readonly maxInputTokens: number | null
  readonly maxOutputTokens: number | null
  /** `mixed-slo`. */
  readonly classes: readonly SloClass[]
  /** Requests of each class sent one by one to measure the baseline. */
  readonly calibrationRequests: number
  /** Known baseline TPOT; null: measured where a class needs it. */
  readonly baselineTpotMs: number | null
}

export interface LoadOptions {
  /** Requests per second offered; null: all at once, a trace at its own times. */
  readonly requestRatePerSec: number | null
  /** Shape of the gamma-distributed gaps; 1 is Poisson. */
  readonly burstiness: number
  /** Requests in flight at most; later ones wait at the client, unmeasured. null: no cap. */
  readonly maxConcurrency: number | null
  /** Unmeasured requests sent one by one before the run. */
  readonly numWarmups: number
}

export interface ReportOptions {
  readonly label: string | null
  readonly metadata: Readonly<Record<string, string>>
  /** Measures shown in the table. */
  readonly percentileMetrics: readonly LatencyName[]
  /** Beside the 90th and 99th, which the report always has. */
  readonly metricPercentiles: readonly number[]
  /** Adds one row per request. */
  readonly detailed: boolean
}

export interface BenchServeOptions {
  readonly target: TargetOptions
  /** null: the first model that the server lists. */
  readonly model: string | null
  readonly dataset: DatasetOptions
  readonly load: LoadOptions
  readonly sampling: SamplingOptions
  /** Targets of every request whose data set sets none; null: no goodput is reported. */
  readonly goodput: SloTargets | null
  readonly seed: number
  readonly report: ReportOptions
}

/**
 * AdaServe (EuroSys'26) §6.1: coding, chat and summarisation at 60/20/20; TPOT 1.2x the baseline, 50 ms and 150 ms where the
 * baseline was 30 ms, which is 1.67x and 5x. The TTFT targets are ours: the paper sets none.
 */
export const DEFAULT_SLO_CLASSES: readonly SloClass[] = [
  { name: 'coding', share: 60, inputTokens: 96, outputTokens: 96, ttft: { kind: 'times', factor: 10 }, tpot: { kind: 'times', factor: 1.2 } },
  { name: 'chat', share: 20, inputTokens: 128, outputTokens: 96, ttft: { kind: 'times', factor: 10 }, tpot: { kind: 'times', factor: 1.67 } },
  { name: 'summarisation', share: 20, inputTokens: 768, outputTokens: 64, ttft: { kind: 'times', factor: 10 }, tpot: { kind: 'times', factor: 5 } },
]

export const BENCH_SERVE_DEFAULTS: BenchServeOptions = {
  target: { backend: 'openai', baseUrl: 'http://127.0.0.1:8000', endpoint: '/v1/completions', grpcAddress: '127.0.0.1:50051', apiKey: null, headers: {}, insecure: false },
  model: null,
  dataset: {
    name: 'random', path: null, numPrompts: 1000, inputTokens: 1024, outputTokens: 128, rangeRatio: 0, prefixTokens: 0, vocabSize: 1024, firstTokenId: 16, charsPerToken: 2.3,
    traceScale: 1, maxInputTokens: null, maxOutputTokens: null, classes: DEFAULT_SLO_CLASSES, calibrationRequests: 3, baselineTpotMs: null,
  },
  load: { requestRatePerSec: null, burstiness: 1, maxConcurrency: null, numWarmups: 0 },
  sampling: { temperature: 0, topP: null, topK: null, minP: null, ignoreEos: false, extraBody: {}, returnTokenIds: false, sendSlo: 'dataset' },
  goodput: null,
  seed: 0,
  report: { label: null, metadata: {}, percentileMetrics: ['ttft', 'tpot', 'itl', 'e2el'], metricPercentiles: [99], detailed: false },
}
