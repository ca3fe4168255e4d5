import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { BENCH_SERVE_DEFAULTS } from '../options.ts'
import type { BenchServeOptions } from '../options.ts'
import { answerOf, failed, recordOf, targets } from './answers.ts'
import { attainmentOf, verdictOf } from './attainment.ts'
import type { RunRecord } from './attainment.ts'
import { renderReport } from './render.ts'
import { buildReport } from './report.ts'
import type { BenchServeReport } from './report.ts'
import { resultFileName, saveReport } from './save.ts'

/** TTFT 50, TPOT 10 and 30 tokens/s; TTFT 400; a refusal; one stopped. */
const RECORDS: readonly RunRecord[] = [
  recordOf(0, answerOf({ startMs: 1000, chunkTimesMs: [1050, 1070], chunkTokens: [1, 2] })),
  recordOf(1, answerOf({ startMs: 1100, chunkTimesMs: [1500, 1520], chunkTokens: [1, 2] })),
  recordOf(2, failed('HTTP 429: queue full', 1200)),
  recordOf(3, answerOf({ startMs: 1300, end: { kind: 'interrupted' } })),
]

function reportOf(records: readonly RunRecord[], changes: Partial<BenchServeOptions> = {}): BenchServeReport {
  const options = { ...BENCH_SERVE_DEFAULTS, ...changes }
  return buildReport({
    options, model: 'org/tiny model', records, numPlanned: 6, startMs: 1000, endMs: 3000, maxLagMs: 0.5, baseline: { tpotMs: 8, ttftMsOf: { coding: 20 } }, startedAt: new Date('2026-11-20T10:11:12.345Z'),
  })
}

test('a verdict judges only what has a target', () => {
  const answer = answerOf({ chunkTimesMs: [50, 70], chunkTokens: [1, 2] })
  assert.deepEqual(verdictOf(answer, null), { ttft: null, tpot: null, e2el: null, slo: null })
  assert.deepEqual(verdictOf(answer, targets({ ttftMs: 50 })), { ttft: true, tpot: null, e2el: null, slo: true })
  assert.deepEqual(verdictOf(answer, targets({ ttftMs: 60, tpotMs: 9.9, e2elMs: 70 })), { ttft: true, tpot: false, e2el: true, slo: false })
  assert.deepEqual(verdictOf(failed('x'), targets({ ttftMs: 60, tpotMs: 10 })), { ttft: false, tpot: false, e2el: null, slo: false })
  assert.equal(verdictOf(answerOf({ chunkTimesMs: [50] }), targets({ tpotMs: 1 })).tpot, true)
})

test('attainment is a share of the offered: a refused request has missed', () => {
  const offered = RECORDS.slice(0, 3)
  assert.deepEqual(attainmentOf(offered, targets({ ttftMs: 100, tpotMs: 10 })), { numMet: 1, tokensMet: 3, sloRatio: 1 / 3, tpotRatio: 2 / 3 })
  assert.deepEqual(attainmentOf(offered, null), { numMet: 0, tokensMet: 0, sloRatio: null, tpotRatio: null })
})

test('the counts of a run', () => {
  const report = reportOf(RECORDS, { goodput: targets({ ttftMs: 100, tpotMs: 10 }) })
  assert.deepEqual([report.completed, report.failed, report.interrupted, report.offered, report.num_prompts], [2, 1, 1, 3, 6])
  assert.deepEqual([report.duration, report.total_input_tokens, report.total_output_tokens], [2, 20, 6])
  assert.deepEqual([report.request_throughput, report.output_throughput, report.total_token_throughput], [1, 3, 13])
  assert.deepEqual([report.request_goodput, report.slo_goodput, report.slo_attainment, report.tpot_attainment], [0.5, 1.5, 1 / 3, 2 / 3])
  assert.deepEqual([report.mean_ttft_ms, report.mean_tpot_ms, report.p99_itl_ms], [225, 10, 10])
  assert.deepEqual(report.error_counts, { 'HTTP 429: queue full': 1 })
  assert.equal(report.itl_per, 'token')
  assert.equal(report.classes, undefined)
  assert.equal(report.requests, undefined)
})

test('the names that scripts read are all there, with and without results', () => {
  const names = ['completed', 'failed', 'duration', 'total_input_tokens', 'total_output_tokens', 'request_throughput', 'request_goodput', 'output_throughput', 'total_token_throughput', 'slo_attainment']
  const latencies = ['ttft', 'tpot', 'itl', 'e2el'].flatMap((name) => ['mean', 'median', 'std', 'p90', 'p99'].map((statistic) => `${statistic}_${name}_ms`))
  for (const report of [reportOf(RECORDS), reportOf([])]) {
    const json = JSON.parse(JSON.stringify(report)) as Record<string, unknown>
    for (const name of [...names, ...latencies]) assert.ok(name in json, name)
  }
  assert.equal(reportOf([]).mean_ttft_ms, null)
  assert.equal(reportOf(RECORDS).request_goodput, null)
})

test('the detail has one entry per request, seconds where vLLM has seconds', () => {
  const base = BENCH_SERVE_DEFAULTS.report
  const report = reportOf(RECORDS, { goodput: targets({ ttftMs: 100 }), report: { ...base, detailed: true, metadata: { machine: 'laptop' } } })
  assert.deepEqual(report.ttfts, [0.05, 0.4, null, null])
  assert.deepEqual(report.itls, [[0.01, 0.01], [0.01, 0.01], [], []])
  assert.deepEqual([report.input_lens, report.output_lens], [[10, 10, 10, 10], [3, 3, 0, 0]])
  assert.deepEqual(report.errors, ['', '', 'HTTP 429: queue full', ''])
  assert.deepEqual(report.requests?.map(({ met, met_tpot: tpot, status }) => [met, tpot, status]), [[true, null, 'completed'], [false, null, 'completed'], [false, null, 'failed'], [null, null, 'interrupted']])
  assert.deepEqual(report.requests?.[0]?.token_ids, [0, 1, 2])
  assert.deepEqual(report.requests?.[0]?.slo, { ttft_ms: 100, tpot_ms: null, e2el_ms: null })
  assert.equal(report.requests?.[1]?.start_s, 0.1)
  assert.equal((report as unknown as Record<string, unknown>)['machine'], 'laptop')
})

test('mixed-slo reports each class by its own targets', () => {
  const dataset = { ...BENCH_SERVE_DEFAULTS.dataset, name: 'mixed-slo' as const }
  const fast = answerOf({ chunkTimesMs: [50, 70], chunkTokens: [1, 2] })
  const records = [recordOf(0, fast, targets({ tpotMs: 5 }), 'coding'), recordOf(1, fast, targets({ tpotMs: 15 }), 'chat'), recordOf(2, failed('x'), targets({ tpotMs: 15 }), 'chat')]
  const report = reportOf(records, { dataset })
  assert.deepEqual(report.classes?.map(({ name, offered, slo_attainment: ratio }) => [name, offered, ratio]), [['coding', 1, 0], ['chat', 2, 0.5], ['summarisation', 0, null]])
  assert.deepEqual(report.classes?.[0]?.slo, { ttft_ms: null, tpot_ms: 5, e2el_ms: null })
  assert.deepEqual(report.baseline, { tpot_ms: 8, ttft_ms: { coding: 20 } })
  assert.equal(report.slo_attainment, 1 / 3)
  assert.match(renderReport(report, BENCH_SERVE_DEFAULTS.report), /chat \(TTFT n\/a \/ TPOT 15\.0 ms\):\s+50\.0 % of 2/)
})

test('the table has the rows that users know, and the first failures', () => {
  const text = renderReport(reportOf(RECORDS, { goodput: targets({ ttftMs: 100 }) }), { percentileMetrics: ['ttft', 'itl'], metricPercentiles: [90, 99] })
  const lines = text.split('\n')
  assert.equal(lines[0], '============ Serving Benchmark Result ============')
  assert.equal(lines.at(-1), '='.repeat(50))
  for (const expected of ['Successful requests:                     2', 'Mean TTFT (ms):                          225.00', 'P90 ITL (ms):                            10.00', '1 x HTTP 429: queue full']) {
    assert.ok(lines.includes(expected), `${expected}\n${text}`)
  }
  assert.ok(!text.includes('TPOT (ms)') && !text.includes('Request rate configured'))
  assert.equal(lines.filter((line) => line.startsWith('---') || line.startsWith('===')).every((line) => line.length === 50), true)
})

test('many kinds of failure are counted without growing the report', () => {
  const report = reportOf(Array.from({ length: 100 }, (_, index) => recordOf(index, failed(`error ${index}`))))
  assert.equal(Object.keys(report.error_counts).length, 21)
  assert.equal(report.error_counts['other'], 80)
  assert.match(renderReport(report, BENCH_SERVE_DEFAULTS.report), /80 x other[\s\S]*and 16 other messages/)
})

test('a report is saved under the name that vLLM would give it', () => {
  const report = reportOf(RECORDS, { load: { ...BENCH_SERVE_DEFAULTS.load, maxConcurrency: 8 } })
  assert.equal(resultFileName(report), 'openai-infqps-concurrency8-tiny_model-20261120-101112.json')
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rubato-report-'))
  try {
    const file = saveReport(report, path.join(folder, 'a/b'), 'one.json')
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), JSON.parse(JSON.stringify(report)))
  } finally {
    rmSync(folder, { recursive: true })
  }
})
