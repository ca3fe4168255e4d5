import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STEP_MS, TOY_CURVES } from './fixtures/toy-cluster.ts'
import { meetsSplitwiseSlo, SPLITWISE_SLO, splitwiseSlowdowns } from './slo.ts'
import type { SplitwiseSlowdowns } from './slo.ts'

/** A request of 100 prompt tokens and 11 tokens: alone 100 ms, then 10 ms each, 200 ms in all. */
function sample(ttftRatio: number, tbtRatio: number, e2eRatio: number) {
  return { promptTokens: 100, outputTokens: 11, ttftMs: 100 * ttftRatio, tbtMs: STEP_MS * tbtRatio, e2eMs: 200 * e2eRatio }
}

test('slowdowns are measured against the same request alone, and taken as percentiles over requests', () => {
  const slowdowns = splitwiseSlowdowns([sample(1, 1, 1), sample(3, 2, 1.5), sample(2, 1.5, 4)], TOY_CURVES)
  assert.equal(slowdowns.ttft.p50, 2)
  assert.ok(Math.abs(slowdowns.ttft.p90 - 2.8) < 1e-12)
  assert.equal(slowdowns.tbt.p50, 1.5)
  assert.equal(slowdowns.e2e.p50, 1.5)
  assert.ok(Math.abs(slowdowns.e2e.p99 - (1.5 + 0.98 * 2.5)) < 1e-12)
  assert.throws(() => splitwiseSlowdowns([], TOY_CURVES), { code: 'no_values' })
})

test('each of the nine limits counts, and none may be reached', () => {
  const below: SplitwiseSlowdowns = {
    ttft: { p50: 1.99, p90: 2.99, p99: 5.99 },
    tbt: { p50: 1.24, p90: 1.49, p99: 4.99 },
    e2e: { p50: 1.24, p90: 1.49, p99: 4.99 },
  }
  assert.equal(meetsSplitwiseSlo(below), true)
  let numLimits = 0
  for (const measure of ['ttft', 'tbt', 'e2e'] as const) {
    for (const p of ['p50', 'p90', 'p99'] as const) {
      numLimits += 1
      assert.equal(meetsSplitwiseSlo({ ...below, [measure]: { ...below[measure], [p]: SPLITWISE_SLO[measure][p] } }), false, `${measure} ${p}`)
    }
  }
  assert.equal(numLimits, 9)
})
