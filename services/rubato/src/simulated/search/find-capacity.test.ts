// The search for the highest rate, on trials that are plain functions.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogHistogram } from '../report/measure/log-histogram.ts'
import type { TrialReport } from '../report/trial-report.ts'
import type { PassLimits } from '../scenario/scenario.ts'
import { findCapacity } from './find-capacity.ts'
import { isSureToFail, reasonToFail } from './pass.ts'

/** The capacity found where every rate up to `limit` passes, and the rates that were tried. */
function search(limit: number, startRatePerSec: number, granularity = 0.05): { capacity: number; tried: number[] } {
  const rates = findCapacity({ startRatePerSec, granularity })
  const tried: number[] = []
  let next = rates.next()
  while (next.done !== true) {
    tried.push(next.value)
    next = rates.next(next.value <= limit)
  }
  return { capacity: next.value, tried }
}

test('a worked example: doubled until it fails, then halved until the bracket is narrow', () => {
  assert.deepEqual(search(11, 2, 0.1), { capacity: 11, tried: [2, 4, 8, 16, 12, 10, 11] })
})

test('the capacity is found to the granularity, from wherever the search starts', () => {
  for (const limit of [0.37, 1, 4.2, 93.7]) {
    for (const start of [0.05, 1, 60]) {
      const { capacity, tried } = search(limit, start)
      assert.ok(capacity <= limit && capacity >= limit / 1.06, `limit ${limit} from ${start}: ${capacity}`)
      assert.ok(tried.length <= 20, `${tried.length} trials`)
      assert.equal(new Set(tried).size, tried.length)
    }
  }
})

test('a limit that no rate keeps ends the search, and so does one that every rate keeps', () => {
  assert.equal(search(0, 1).capacity, 0)
  assert.ok(search(Infinity, 1).capacity >= 1e6)
})

const NONE: PassLimits = { attainmentRatio: null, p99TbtMs: null, p50DelayMs: null, slowdown: false }
type Judged = Pick<TrialReport, 'failed' | 'slo_attainment' | 'tbt_ms' | 'scheduling_delay_ms' | 'slowdown'>
const latency = (p50: number, p99: number): TrialReport['tbt_ms'] => ({ p50, p90: p99, p99, mean: p50 })
const GOOD: Judged = { failed: 0, slo_attainment: 0.9, tbt_ms: latency(50, 200), scheduling_delay_ms: latency(2000, 9000), slowdown: null }

test('every limit that is named has to hold', () => {
  assert.equal(reasonToFail(GOOD, { ...NONE, p99TbtMs: 200, p50DelayMs: 2000, attainmentRatio: 0.9 }), null)
  assert.equal(reasonToFail(GOOD, { ...NONE, p99TbtMs: 199 }), 'p99_tbt_ms')
  assert.equal(reasonToFail(GOOD, { ...NONE, p50DelayMs: 1999 }), 'p50_scheduling_delay_ms')
  assert.equal(reasonToFail(GOOD, { ...NONE, attainmentRatio: 0.91 }), 'attainment')
  assert.equal(reasonToFail(GOOD, { ...NONE, slowdown: true }), 'slowdown')
  assert.equal(reasonToFail({ ...GOOD, failed: 2 }, { ...NONE, p99TbtMs: 200 }), '2 requests failed')
  assert.equal(reasonToFail({ ...GOOD, failed: 2 }, { ...NONE, attainmentRatio: 0.9 }), null)
})

test('a trial is given up only when the rest of it could not save it', () => {
  const gaps = new LogHistogram()
  const seen = (numMissed: number): Parameters<typeof isSureToFail>[0] => ({ gaps, attainment: { total: { numMissed } } as Parameters<typeof isSureToFail>[0]['attainment'] })
  const totals = { numRequests: 100, numGaps: 1000 }
  assert.equal(isSureToFail(seen(10), totals, { ...NONE, attainmentRatio: 0.9 }), false)
  assert.equal(isSureToFail(seen(11), totals, { ...NONE, attainmentRatio: 0.9 }), true)
  gaps.add(300, 10)
  assert.equal(isSureToFail(seen(0), totals, { ...NONE, p99TbtMs: 200 }), false)
  gaps.add(300)
  assert.equal(isSureToFail(seen(0), totals, { ...NONE, p99TbtMs: 200 }), true)
  assert.equal(isSureToFail(seen(0), totals, { ...NONE, p99TbtMs: 299 }), false)
})
