// The report as text for a terminal, in the shape that users of `vllm bench serve` know.
import { InvalidArgument } from '@rubato/config'
import type { ReportOptions } from '../options.ts'
import { LATENCY_NAMES } from './latencies.ts'
import type { LatencyName } from './latencies.ts'
import type { BenchServeReport, ClassReport } from './report.ts'

const WIDTH = 50
const LABEL_WIDTH = 40
const TITLES: Readonly<Record<LatencyName, string>> = {
  ttft: 'Time to First Token',
  tpot: 'Time per Output Token (excl. 1st token)',
  itl: 'Inter-token Latency',
  e2el: 'End-to-end Latency',
}
const MAX_ERRORS_SHOWN = 5

function rule(title: string, fill: string): string {
  const left = Math.floor((WIDTH - title.length) / 2)
  return `${fill.repeat(Math.max(left, 0))}${title}${fill.repeat(Math.max(WIDTH - left - title.length, 0))}`
}

function row(label: string, value: number | string | null): string {
  return `${label.padEnd(LABEL_WIDTH)} ${value ?? 'n/a'}`.trimEnd()
}

const fixed = (value: number | null | undefined, digits = 2): string => (value === null || value === undefined ? 'n/a' : value.toFixed(digits))
const percent = (ratio: number | null): string => (ratio === null ? 'n/a' : `${(ratio * 100).toFixed(1)} %`)

function headRows(report: BenchServeReport): string[] {
  return [
    row('Successful requests:', report.completed),
    row('Failed requests:', report.failed),
    ...(report.interrupted === 0 ? [] : [row('Interrupted requests:', report.interrupted)]),
    ...(report.max_concurrency === null ? [] : [row('Maximum request concurrency:', report.max_concurrency)]),
    ...(report.request_rate === 'inf' ? [] : [row('Request rate configured (RPS):', fixed(report.request_rate))]),
    row('Benchmark duration (s):', fixed(report.duration)),
    row('Total input tokens:', report.total_input_tokens),
    row('Total generated tokens:', report.total_output_tokens),
    row('Request throughput (req/s):', fixed(report.request_throughput)),
    ...(report.request_goodput === null ? [] : [row('Request goodput (req/s):', fixed(report.request_goodput))]),
    row('Output token throughput (tok/s):', fixed(report.output_throughput)),
    row('Peak output token throughput (tok/s):', fixed(report.max_output_tokens_per_s)),
    row('Peak concurrent requests:', report.max_concurrent_requests),
    row('Total token throughput (tok/s):', fixed(report.total_token_throughput)),
  ]
}

function sloRows(report: BenchServeReport): string[] {
  if (report.slo_attainment === null) return []
  return [
    rule('Service Level Objectives', '-'),
    row('SLO attainment (of offered):', percent(report.slo_attainment)),
    row('TPOT attainment (of offered):', percent(report.tpot_attainment)),
    row('SLO goodput (tok/s):', fixed(report.slo_goodput)),
    ...(report.classes ?? []).map(classRow),
  ]
}

function classRow(one: ClassReport): string {
  const targets = `TTFT ${fixed(one.slo?.ttft_ms, 1)} / TPOT ${fixed(one.slo?.tpot_ms, 1)} ms`
  return row(`  ${one.name} (${targets}):`, `${percent(one.slo_attainment)} of ${one.offered}`)
}

function latencyRows(report: BenchServeReport, name: LatencyName, percents: readonly number[]): string[] {
  const [label, values] = [name.toUpperCase(), report]
  return [
    rule(TITLES[name], '-'),
    row(`Mean ${label} (ms):`, fixed(values[`mean_${name}_ms`])),
    row(`Median ${label} (ms):`, fixed(values[`median_${name}_ms`])),
    ...percents.map((one) => row(`P${one} ${label} (ms):`, fixed(values[`p${one}_${name}_ms`]))),
  ]
}

function errorRows(report: BenchServeReport): string[] {
  const errors = Object.entries(report.error_counts).toSorted((a, b) => b[1] - a[1])
  if (errors.length === 0) return []
  const hidden = errors.length - MAX_ERRORS_SHOWN
  return [
    rule('Failures', '-'),
    ...errors.slice(0, MAX_ERRORS_SHOWN).map(([message, count]) => `${count} x ${message}`),
    ...(hidden > 0 ? [`and ${hidden} other messages`] : []),
  ]
}

/** Lines without a trailing newline. */
export function renderReport(report: BenchServeReport, shown: Pick<ReportOptions, 'percentileMetrics' | 'metricPercentiles'>): string {
  return [
    rule(' Serving Benchmark Result ', '='),
    ...headRows(report),
    ...sloRows(report),
    ...shown.percentileMetrics.flatMap((name) => latencyRows(report, name, shown.metricPercentiles)),
    ...errorRows(report),
    '='.repeat(WIDTH),
  ].join('\n')
}

/** `ttft,itl` as names. Throws InvalidArgument. */
export function parseLatencyNames(field: string, given: string): LatencyName[] {
  return given.split(',').filter((part) => part.trim() !== '').map((part) => {
    const name = LATENCY_NAMES.find((known) => known === part.trim())
    if (name === undefined) throw new InvalidArgument(field, `'${part}' is none of ${LATENCY_NAMES.join(', ')}`)
    return name
  })
}
