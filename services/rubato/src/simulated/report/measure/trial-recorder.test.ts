// Figures of trials against values worked out by hand.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { percentile } from '../../../bench/statistics.ts'
import type { PlannedRequest, Targets } from '../../workload/planned-request.ts'
import { LogHistogram } from './log-histogram.ts'
import type { RequestOutcome } from './outcome.ts'
import { SlowdownBook } from './slowdown-book.ts'
import { TimelineBook } from './timeline-book.ts'
import type { SampledInstance } from './timeline-book.ts'
import { TrialRecorder } from './trial-recorder.ts'
import type { TrialReport } from '../trial-report.ts'

const TARGETS: Targets = { ttftMs: 100, tpotMs: 20 }

function planned(changes: Partial<PlannedRequest> = {}): PlannedRequest {
  return { index: 0, arrivalMs: 0, promptTokens: 50, outputTokens: 11, blockIds: [], className: null, priority: 0, targets: TARGETS, ...changes }
}

function outcome(changes: Partial<RequestOutcome> = {}): RequestOutcome {
  return {
    planned: planned(), end: 'finished', error: null, ttftMs: 50, e2eMs: 250, numTokens: 11, numLost: 0, numDuplicated: 0, delayMs: 5, migrations: 0, recoveries: 0, downtimeMs: null, ...changes,
  }
}

const HEAD = { variant: 'v', rate: 2, seed: 1 }
const END = { durationMs: 10_000, blocksLeaked: 0, numCut: 0, numRedrawn: 0, costPerHour: 4, powerW: 400 }

function reportOf(outcomes: readonly RequestOutcome[], recorder: TrialRecorder = new TrialRecorder(new TimelineBook(1000), null)): TrialReport {
  for (const one of outcomes) recorder.ended(one)
  return recorder.report(HEAD, END)
}

test('attainment is of what was offered: failed requests missed, and so did late ones', () => {
  const report = reportOf([
    outcome(),                                  // TPOT (250 - 50) / 10 = 20: just met
    outcome({ ttftMs: 101 }),                   // first token late
    outcome({ e2eMs: 251 }),                    // TPOT 20.1
    outcome({ end: 'failed', error: 'queue_full', ttftMs: null, e2eMs: null, numTokens: 0 }),
  ])
  assert.deepEqual([report.offered, report.completed, report.failed], [4, 3, 1])
  assert.deepEqual([report.slo_attainment, report.tpot_attainment], [0.25, 0.5])
  assert.equal(report.slo_goodput, 11 / 10)
  assert.deepEqual([report.request_throughput, report.output_throughput, report.total_input_tokens, report.total_output_tokens], [0.3, 3.3, 150, 33])
  assert.deepEqual(report.error_counts, { queue_full: 1 })
})

test('latencies are of completed requests, percentiles linear between neighbours', () => {
  const report = reportOf([10, 20, 30, 40, 50].map((ttftMs) => outcome({ ttftMs, e2eMs: ttftMs + 100, delayMs: ttftMs / 10 })))
  assert.deepEqual(report.ttft_ms, { p50: 30, p90: 46, p99: 49.6, mean: 30 })
  assert.deepEqual([report.tpot_ms.p50, report.e2e_ms.p50, report.scheduling_delay_ms.p50], [10, 130, 3])
  assert.deepEqual(report.downtime_ms, { p50: null, p90: null, p99: null, mean: null })
})

test('one token has no TPOT and cannot miss it; no target, nothing judged', () => {
  const single = outcome({ planned: planned({ outputTokens: 1 }), numTokens: 1, e2eMs: 50 })
  assert.deepEqual([reportOf([single]).slo_attainment, reportOf([single]).tpot_ms.p50], [1, null])
  const free = outcome({ planned: planned({ targets: { ttftMs: null, tpotMs: null } }) })
  assert.deepEqual([reportOf([free]).slo_attainment, reportOf([free]).slo_goodput], [null, null])
})

test('tokens that were not given, given twice or beyond what was asked are counted', () => {
  const report = reportOf([outcome({ numTokens: 9 }), outcome({ numTokens: 10, numLost: 1 }), outcome({ numTokens: 12, numDuplicated: 1 }), outcome({ numTokens: 13 })])
  assert.deepEqual([report.tokens_lost, report.tokens_duplicated], [3, 3])
})

test('classes are counted apart, in order of name', () => {
  const report = reportOf([outcome({ planned: planned({ className: 'b' }) }), outcome({ planned: planned({ className: 'a' }), ttftMs: 500 }), outcome({ planned: planned({ className: 'b' }), end: 'failed' })])
  assert.deepEqual(report.classes, [
    { name: 'a', offered: 1, completed: 1, slo_attainment: 0, tpot_attainment: 1 },
    { name: 'b', offered: 2, completed: 1, slo_attainment: 0.5, tpot_attainment: 0.5 },
  ])
})

test('attainment over time is by arrival, in windows of equal length', () => {
  const outcomes = Array.from({ length: 120 }, (_, index) => outcome({ planned: planned({ arrivalMs: index * 1000 }), ttftMs: index < 60 ? 50 : 500 }))
  const points = reportOf(outcomes).details!.attainment_over_time
  assert.equal(points.reduce((sum, { offered }) => sum + offered, 0), 120)
  assert.ok(points.every(({ at_s: at, attainment }) => attainment === (at < 60 ? 1 : 0)), JSON.stringify(points))
})

test('gaps: tokens that come together have none between them', () => {
  const recorder = new TrialRecorder(new TimelineBook(1000), null)
  recorder.tokens(1, null)
  for (let i = 0; i < 97; i++) recorder.tokens(1, 10)
  recorder.tokens(2, 200)
  const { tbt_ms: tbt } = reportOf([outcome()], recorder)
  assert.equal(recorder.gaps.count, 99)
  assert.ok(Math.abs(tbt.p50! - 10) < 0.1 && Math.abs(tbt.mean! - (970 + 200) / 99) < 1e-9, JSON.stringify(tbt))
  assert.ok(Math.abs(recorder.gaps.percentile(100)! - 200) < 2)
})

test('a histogram is within one percent of the exact percentiles', () => {
  const seed = testSeed(21)
  const random = seededRandom(seed)
  const histogram = new LogHistogram()
  const values = Float64Array.from({ length: 20_000 }, () => Math.exp(12 * random.next() - 3)).sort()
  for (const value of values) histogram.add(value)
  for (const percent of [1, 50, 90, 99, 99.9]) {
    const [actual, expected] = [histogram.percentile(percent)!, percentile(values, percent)!]
    assert.ok(Math.abs(actual / expected - 1) < 0.011, `seed ${seed}: P${percent} is ${actual}, exactly ${expected}`)
  }
  const above = values.filter((value) => value > 100).length
  assert.ok(Math.abs(histogram.numAbove(100) - above) <= 0.03 * above, `seed ${seed}: ${histogram.numAbove(100)} above, exactly ${above}`)
  assert.equal(histogram.cdf().at(-1)?.ratio, 1)
})

test('slowdowns are ratios to the request alone, and all nine limits have to hold', () => {
  const alone = (): { ttftMs: number; tbtMs: number } => ({ ttftMs: 100, tbtMs: 10 })
  const book = new SlowdownBook(alone)
  for (let i = 0; i < 10; i++) book.add(planned(), { ttftMs: 150, tpotMs: 12, e2eMs: 220 })
  const { ttft, tbt, e2e, met } = book.report()
  assert.deepEqual([ttft.p50, tbt.p99, e2e.p90, met], [1.5, 1.2, 1.1, true])
  // A tenth of the requests at 4x breaks the P99 and not the P50; TTFT allows 3x at P90.
  for (let i = 0; i < 5; i++) book.add(planned(), { ttftMs: 400, tpotMs: 12, e2eMs: 220 })
  assert.equal(book.report().met, false)
})

const load = (numWaiting: number, freeBlocks: number, preemptionsTotal: number): SampledInstance => ({
  name: 'a-1', load: { numWaiting, numRunning: 1, freeBlocks, cachedBlocks: 10, totalBlocks: 100, preemptionsTotal, migrations: { inTotal: preemptionsTotal * 2 } } as NonNullable<SampledInstance['load']>,
})

test('totals outlive the instances that counted them', () => {
  const book = new TimelineBook(100)
  book.sample(0, [load(1, 50, 3)])
  book.sample(100, [{ name: 'a-1', load: null }])
  book.sample(200, [load(0, 90, 1)])
  assert.deepEqual([book.preemptions, book.migrations], [4, 8])
  const { instances } = book.timelines()
  assert.deepEqual(instances, [{ name: 'a-1', group: 'a', queue: [1, 0, 0], running: [1, 0, 1], kv_use: [0.4, null, 0] }])
})

test('many samples are thinned, evenly', () => {
  const book = new TimelineBook(100)
  let atMs = 0
  for (let i = 0; i < 1000; i++) {
    book.sample(atMs, [load(i, 50, 0)])
    atMs += book.intervalMs
  }
  const { at_s: times } = book.timelines()
  const gaps = new Set(times.slice(1).map((at, index) => Math.round((at - times[index]!) * 1000)))
  assert.ok(times.length > 100 && times.length <= 241, `${times.length} samples`)
  assert.equal(gaps.size, 1, [...gaps].join())
})
