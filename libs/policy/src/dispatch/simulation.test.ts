import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { idsOf, instanceOf, requestOf, withAdded } from './fixtures/cluster.ts'
import { quantile, simulateDispatch } from './fixtures/simulation.ts'
import type { SimulationOptions, SimulationResult } from './fixtures/simulation.ts'
import { dispatchPolicy } from './policies.ts'
import type { DispatchInstance, DispatchPolicy, Placement } from './snapshot.ts'

const NUM_REQUESTS = 1_200
const SEED_OFFSETS = [0, 1, 2]
const MIXED = Array.from({ length: 8 }, () => 'mixed' as const)
const SPLIT = MIXED.map((_, index) => (index < 3 ? 'prefill' : 'decode'))

function simulate(policy: DispatchPolicy, seed: number, changes: Partial<SimulationOptions> = {}): SimulationResult {
  const result = simulateDispatch(policy, { roles: MIXED, numRouters: 3, numRequests: NUM_REQUESTS, meanGapMs: 22, reportMs: 200, random: seededRandom(seed), ...changes })
  assert.equal(result.queueMs.length, NUM_REQUESTS, 'every request was served')
  return result
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

test('skewed prompts, three routers, reports every 200 ms: predictions cut the P99 queueing of round-robin, by a third on average', () => {
  const firstSeed = testSeed(31)
  const p99Ms = (name: string): number[] =>
    SEED_OFFSETS.map((offset) => quantile(simulate(dispatchPolicy(name, { placement: 'colocated' }), firstSeed + offset).queueMs, 0.99))
  const roundRobinMs = p99Ms('round-robin')
  for (const name of ['slo', 'jsq']) {
    const times = p99Ms(name)
    times.forEach((ms, index) => assert.ok(ms < roundRobinMs[index]!, `seed ${firstSeed + index} ${name}`))
    assert.ok(mean(times) < (2 / 3) * mean(roundRobinMs), `seed ${firstSeed} ${name}: ${mean(times)} of ${mean(roundRobinMs)}`)
  }
  assert.ok(mean(p99Ms('freeness')) < mean(roundRobinMs), `seed ${firstSeed} freeness`)
})

test('with targets, slo meets more of them than round-robin and freeness, and about as many as jsq or more', () => {
  const firstSeed = testSeed(41)
  const attained = (name: string): number =>
    mean(SEED_OFFSETS.map((offset) => simulate(dispatchPolicy(name, { placement: 'colocated' }), firstSeed + offset, { slo: { ttftMs: 300, tpotMs: 60 } }).attainmentRatio))
  const slo = attained('slo')
  assert.ok(slo > attained('round-robin') + 0.1, `seed ${firstSeed}: slo ${slo}`)
  assert.ok(slo > attained('freeness'), `seed ${firstSeed}: slo ${slo}`)
  assert.ok(slo > attained('jsq') - 0.01, `seed ${firstSeed}: slo ${slo}`)
})

test('tight TPOT targets: prefill and decode instances with automatic placement meet more than mixed ones, and than forced pairs', () => {
  const firstSeed = testSeed(51)
  const run = (placement: Placement, roles: SimulationOptions['roles']): readonly SimulationResult[] =>
    SEED_OFFSETS.map((offset) => simulate(dispatchPolicy('slo', { placement }), firstSeed + offset, { roles, meanGapMs: 28, maxOutputTokens: 250, slo: { ttftMs: 1_000, tpotMs: 12 } }))
  const attained = (results: readonly SimulationResult[]): number => mean(results.map(({ attainmentRatio }) => attainmentRatio))
  const split = run('auto', SPLIT)
  assert.ok(attained(split) > attained(run('auto', MIXED)) + 0.05, `seed ${firstSeed}: ${attained(split)}`)
  // Three prefill instances cannot carry every prompt: automatic placement computes some where they decode.
  assert.ok(attained(split) > attained(run('disaggregated', SPLIT)) + 0.2, `seed ${firstSeed}: ${attained(split)}`)
  for (const { shippedRatio } of split) assert.ok(shippedRatio > 0.1 && shippedRatio < 0.9, `seed ${firstSeed}: shipped ${shippedRatio}`)
})

test('64 requests between two reports: one router with predictive adds spreads like prompts to within two of each other', () => {
  for (const name of ['slo', 'jsq', 'freeness', 'kv-aware', 'round-robin']) {
    const policy = dispatchPolicy(name, { placement: 'colocated' })
    let view: readonly DispatchInstance[] = Array.from({ length: 8 }, (_, index) => instanceOf(`instance-${index}`))
    for (let ordinal = 0; ordinal < 64; ordinal += 1) {
      const request = requestOf({ requestId: `request-${ordinal}`, ordinal })
      view = withAdded(view, request, policy(request, view))
    }
    const counts = view.map(({ numSequences }) => numSequences)
    assert.ok(Math.max(...counts) <= 10 && Math.min(...counts) >= 6, `${name}: ${counts.join(' ')}`)
  }
})

test('64 requests over four routers that do not see each other: no instance gets more than twice its share', () => {
  for (const name of ['slo', 'jsq', 'freeness', 'kv-aware']) {
    const policy = dispatchPolicy(name, { placement: 'colocated' })
    const counts = new Map<string, number>()
    for (let router = 0; router < 4; router += 1) {
      let view: readonly DispatchInstance[] = Array.from({ length: 8 }, (_, index) => instanceOf(`instance-${index}`))
      for (let ordinal = 0; ordinal < 16; ordinal += 1) {
        const request = requestOf({ requestId: `request-${router}-${ordinal}`, ordinal })
        const decision = policy(request, view)
        view = withAdded(view, request, decision)
        counts.set(idsOf(decision)[0]!, (counts.get(idsOf(decision)[0]!) ?? 0) + 1)
      }
    }
    assert.equal([...counts.values()].reduce((sum, count) => sum + count, 0), 64)
    assert.ok(counts.size === 8 && Math.max(...counts.values()) <= 16, `${name}: ${[...counts.values()].join(' ')}`)
  }
})
