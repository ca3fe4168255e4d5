// The flags of `rubato bench serve`, named as in `vllm bench serve`, and the options that they make.
import { InvalidArgument } from '@rubato/config'
import { parseCount, parseKeyValues, parseList, parseNonNegative, parsePositive } from '../flag-values.ts'
import type { SloTargets } from './dataset/planned-request.ts'
import { BENCH_SERVE_DEFAULTS, DEFAULT_SLO_CLASSES } from './options.ts'
import type { BackendName, BenchServeOptions, DatasetName, DatasetOptions, SamplingOptions, SloClass, TargetOptions, TargetRule } from './options.ts'
import { parseLatencyNames } from './report/render.ts'

/** As commander hands them over: strings as given, absent where not given and without default. */
export interface BenchServeFlags {
  readonly backend?: BackendName
  readonly baseUrl?: string
  readonly host: string
  readonly port: string
  readonly endpoint?: string
  readonly grpc?: string
  readonly insecure?: boolean
  readonly apiKey?: string
  readonly header?: readonly string[]
  readonly model?: string
  readonly datasetName: DatasetName
  readonly datasetPath?: string
  readonly numPrompts: string
  readonly requestRate: string
  readonly burstiness: string
  readonly maxConcurrency?: string
  readonly numWarmups: string
  readonly goodput?: readonly string[]
  readonly sendSlo?: boolean
  readonly percentileMetrics: string
  readonly metricPercentiles: string
  readonly seed: string
  readonly ignoreEos?: boolean
  readonly temperature: string
  readonly topP?: string
  readonly topK?: string
  readonly minP?: string
  readonly extraBody?: string
  readonly returnTokenIds?: boolean
  readonly inputLen?: string
  readonly outputLen?: string
  readonly randomInputLen: string
  readonly randomOutputLen: string
  readonly randomRangeRatio: string
  readonly randomPrefixLen: string
  readonly randomVocabSize: string
  readonly charsPerToken: string
  readonly traceScale: string
  readonly traceMaxInputLen?: string
  readonly traceMaxOutputLen?: string
  readonly mixedSloShares?: string
  readonly mixedSloInputLens?: string
  readonly mixedSloOutputLens?: string
  readonly mixedSloTtft?: string
  readonly mixedSloTpot?: string
  readonly calibrationRequests: string
  readonly baselineTpotMs?: string
  readonly label?: string
  readonly metadata?: readonly string[]
  readonly saveDetailed?: boolean
}

/** The value where it was given. */
function given<Value>(flag: string | undefined, parse: (text: string) => Value): Value | null {
  return flag === undefined ? null : parse(flag)
}

const DEFAULT_ENDPOINTS: Readonly<Record<BackendName, string>> = { openai: '/v1/completions', 'openai-chat': '/v1/chat/completions', 'rubato-grpc': '' }

function baseUrlOf(flags: BenchServeFlags): string {
  const url = flags.baseUrl ?? `http://${flags.host.includes(':') ? `[${flags.host}]` : flags.host}:${flags.port}`
  if (!URL.canParse(url) || !/^https?:\/\//.test(url)) throw new InvalidArgument('--base-url', `'${url}' is not an http or https URL`)
  return url.replace(/\/+$/, '')
}

function targetOptions(flags: BenchServeFlags): TargetOptions {
  const backend = flags.backend ?? (flags.grpc === undefined ? 'openai' : 'rubato-grpc')
  if (flags.grpc !== undefined && backend !== 'rubato-grpc') throw new InvalidArgument('--grpc', `is the address of a gRPC server, but --backend is ${backend}`)
  const endpoint = flags.endpoint ?? DEFAULT_ENDPOINTS[backend]
  return {
    backend,
    baseUrl: baseUrlOf(flags),
    endpoint: endpoint === '' || endpoint.startsWith('/') ? endpoint : `/${endpoint}`,
    grpcAddress: flags.grpc ?? BENCH_SERVE_DEFAULTS.target.grpcAddress,
    apiKey: flags.apiKey ?? null,
    headers: parseKeyValues('--header', flags.header ?? []),
    insecure: flags.insecure ?? false,
  }
}

function extraBodyOf(flags: BenchServeFlags): Record<string, unknown> {
  if (flags.extraBody === undefined) return {}
  let body: unknown
  try {
    body = JSON.parse(flags.extraBody)
  } catch (error) {
    throw new InvalidArgument('--extra-body', (error as Error).message, { cause: error })
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new InvalidArgument('--extra-body', 'must be a JSON object')
  return body as Record<string, unknown>
}

function samplingOptions(flags: BenchServeFlags, backend: BackendName): SamplingOptions {
  if (backend === 'rubato-grpc' && flags.extraBody !== undefined) throw new InvalidArgument('--extra-body', 'is for HTTP backends')
  return {
    temperature: parseNonNegative('--temperature', flags.temperature),
    topP: given(flags.topP, (text) => parsePositive('--top-p', text)),
    topK: given(flags.topK, (text) => parseCount('--top-k', text, 0)),
    minP: given(flags.minP, (text) => parseNonNegative('--min-p', text)),
    ignoreEos: flags.ignoreEos ?? false,
    extraBody: extraBodyOf(flags),
    returnTokenIds: flags.returnTokenIds ?? false,
    sendSlo: flags.sendSlo === undefined ? 'dataset' : flags.sendSlo ? 'always' : 'never',
  }
}

/** One value per class, in the order of the classes. */
function perClass<Value>(field: string, flag: string | undefined, parse: (text: string) => Value): readonly Value[] | null {
  const values = given(flag, (text) => parseList(text).map(parse))
  if (values !== null && values.length !== DEFAULT_SLO_CLASSES.length) {
    throw new InvalidArgument(field, `needs ${DEFAULT_SLO_CLASSES.length} values: ${DEFAULT_SLO_CLASSES.map(({ name }) => name).join(', ')}`)
  }
  return values
}

/** `50` is milliseconds, `1.2x` a multiple of the baseline, `none` no target. */
function parseTargetRule(field: string, text: string): TargetRule {
  if (text === 'none') return { kind: 'none' }
  return text.endsWith('x') ? { kind: 'times', factor: parsePositive(field, text.slice(0, -1)) } : { kind: 'ms', ms: parsePositive(field, text) }
}

function sloClasses(flags: BenchServeFlags): SloClass[] {
  const shares = perClass('--mixed-slo-shares', flags.mixedSloShares, (text) => parseNonNegative('--mixed-slo-shares', text))
  const inputs = perClass('--mixed-slo-input-lens', flags.mixedSloInputLens, (text) => parseCount('--mixed-slo-input-lens', text, 1))
  const outputs = perClass('--mixed-slo-output-lens', flags.mixedSloOutputLens, (text) => parseCount('--mixed-slo-output-lens', text, 1))
  const ttfts = perClass('--mixed-slo-ttft', flags.mixedSloTtft, (text) => parseTargetRule('--mixed-slo-ttft', text))
  const tpots = perClass('--mixed-slo-tpot', flags.mixedSloTpot, (text) => parseTargetRule('--mixed-slo-tpot', text))
  if (shares !== null && shares.every((share) => share === 0)) throw new InvalidArgument('--mixed-slo-shares', 'must not all be 0')
  return DEFAULT_SLO_CLASSES.map((one, index) => ({
    name: one.name,
    share: shares?.[index] ?? one.share,
    inputTokens: inputs?.[index] ?? one.inputTokens,
    outputTokens: outputs?.[index] ?? one.outputTokens,
    ttft: ttfts?.[index] ?? one.ttft,
    tpot: tpots?.[index] ?? one.tpot,
  }))
}

function datasetOptions(flags: BenchServeFlags): DatasetOptions {
  const { datasetName: name, datasetPath } = flags
  if (name === 'trace' && datasetPath === undefined) throw new InvalidArgument('--dataset-path', 'is required with --dataset-name trace')
  if (name === 'random' && datasetPath !== undefined) throw new InvalidArgument('--dataset-path', 'is not used by --dataset-name random')
  const rangeRatio = parseNonNegative('--random-range-ratio', flags.randomRangeRatio)
  if (rangeRatio >= 1) throw new InvalidArgument('--random-range-ratio', 'must be below 1')
  const { firstTokenId } = BENCH_SERVE_DEFAULTS.dataset
  return {
    name,
    path: datasetPath ?? null,
    numPrompts: parseCount('--num-prompts', flags.numPrompts, 1),
    inputTokens: parseCount('--random-input-len', flags.inputLen ?? flags.randomInputLen, 1),
    outputTokens: parseCount('--random-output-len', flags.outputLen ?? flags.randomOutputLen, 1),
    rangeRatio,
    prefixTokens: parseCount('--random-prefix-len', flags.randomPrefixLen, 0),
    vocabSize: parseCount('--random-vocab-size', flags.randomVocabSize, firstTokenId + 1),
    firstTokenId,
    charsPerToken: parsePositive('--chars-per-token', flags.charsPerToken),
    traceScale: parsePositive('--trace-scale', flags.traceScale),
    maxInputTokens: given(flags.traceMaxInputLen, (text) => parseCount('--trace-max-input-len', text, 1)),
    maxOutputTokens: given(flags.traceMaxOutputLen, (text) => parseCount('--trace-max-output-len', text, 1)),
    classes: sloClasses(flags),
    calibrationRequests: parseCount('--calibration-requests', flags.calibrationRequests, 1),
    baselineTpotMs: given(flags.baselineTpotMs, (text) => parsePositive('--baseline-tpot-ms', text)),
  }
}

/** `ttft:100 tpot:20` in milliseconds; commas separate too. */
function goodputOf(flags: BenchServeFlags): SloTargets | null {
  if (flags.goodput === undefined) return null
  if (flags.datasetName === 'mixed-slo') throw new InvalidArgument('--goodput', 'each mixed-slo class has targets of its own: use --mixed-slo-ttft and --mixed-slo-tpot')
  const targets = new Map<string, number>()
  for (const entry of flags.goodput.flatMap(parseList)) {
    const [name = '', value] = entry.split(':')
    if (!['ttft', 'tpot', 'e2el'].includes(name) || value === undefined) throw new InvalidArgument('--goodput', `'${entry}' is not ttft:MS, tpot:MS or e2el:MS`)
    targets.set(name, parsePositive('--goodput', value))
  }
  return { ttftMs: targets.get('ttft') ?? null, tpotMs: targets.get('tpot') ?? null, e2elMs: targets.get('e2el') ?? null }
}

function percentilesOf(text: string): number[] {
  return parseList(text).map((part) => {
    const percent = parseNonNegative('--metric-percentiles', part)
    if (percent > 100) throw new InvalidArgument('--metric-percentiles', `'${part}' is above 100`)
    return percent
  })
}

const unlessInfinite = (field: string, text: string): number | null => (text === 'inf' ? null : parsePositive(field, text))

/** Throws InvalidArgument naming the flag. */
export function optionsOf(flags: BenchServeFlags): BenchServeOptions {
  const target = targetOptions(flags)
  return {
    target,
    model: flags.model ?? null,
    dataset: datasetOptions(flags),
    load: {
      requestRatePerSec: unlessInfinite('--request-rate', flags.requestRate),
      burstiness: unlessInfinite('--burstiness', flags.burstiness) ?? Infinity,
      maxConcurrency: given(flags.maxConcurrency, (text) => parseCount('--max-concurrency', text, 1)),
      numWarmups: parseCount('--num-warmups', flags.numWarmups, 0),
    },
    sampling: samplingOptions(flags, target.backend),
    goodput: goodputOf(flags),
    seed: parseCount('--seed', flags.seed, 0),
    report: {
      label: flags.label ?? null,
      metadata: parseKeyValues('--metadata', flags.metadata ?? []),
      percentileMetrics: parseLatencyNames('--percentile-metrics', flags.percentileMetrics),
      metricPercentiles: percentilesOf(flags.metricPercentiles),
      detailed: flags.saveDetailed ?? false,
    },
  }
}
