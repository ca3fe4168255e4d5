// Trials on the simulated cluster: the same for the same seed, and nothing lost when things go wrong.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testSeed } from '@rubato/testing'
import { parseScenario } from '../../scenario/read-scenario.ts'
import type { Scenario } from '../../scenario/scenario.ts'
import { CATALOG } from './hardware.ts'
import { runTrial } from './run-trial.ts'
import type { TrialResult } from './run-trial.ts'

const SCENARIO = `
name: trial
description: three instances
primary_metric: slo_attainment
routers: 2
fleet: [{name: a, accelerator: a100-80gb, model: opt-13b, count: 3}]
timer: distserve
step_jitter_ratio: 0.1
workload: {lengths: {kind: lognormal, prompt: {median: 60, p90: 200}, output: {median: 60, p90: 90}}, arrivals: {kind: gamma, cv: 2}, rate: 8, num_requests: 40}
slo: {ttft_ms: 250, tpot_ms: 100}
`

const scenario = (more = ''): Scenario => parseScenario(SCENARIO + more, '/scenarios/trial.yaml', CATALOG)

function run(one: Scenario, seed: number): TrialResult {
  return runTrial({ scenario: one, variant: one.variants[0]!, ratePerSec: one.workload.rate, seed, rows: [] })
}

test('a seed decides a trial to the last figure', () => {
  const seed = testSeed(41)
  assert.deepEqual(run(scenario(), seed), run(scenario(), seed), `seed ${seed}`)
  assert.notDeepEqual(run(scenario(), seed).report.ttft_ms, run(scenario(), seed + 1).report.ttft_ms)
})

test('instances that die, stand still and are cut off cost time and no token', () => {
  const seed = testSeed(42)
  const faults = `
engine: checked
faults:
  - {kind: kill, at_s: 1, name: a-1, restart_s: 1}
  - {kind: freeze, at_s: 2, name: a-2, for_s: 1}
  - {kind: partition, at_s: 3, names: [a-3], for_s: 1}
  - {kind: link, at_s: 4, loss_ratio: 0.05, latency_factor: 3, for_s: 2}
  - {kind: kill, at_s: 2.5, name: r1, restart_s: 0.5}
  - {kind: drain, at_s: 5, name: a-2}
`
  const [plain, troubled] = [run(scenario(), seed).report, run(scenario(faults), seed).report]
  const label = `seed ${seed}: ${JSON.stringify(troubled.error_counts)}`
  assert.deepEqual([troubled.completed, troubled.tokens_lost, troubled.tokens_duplicated, troubled.blocks_leaked], [40, 0, 0, 0], label)
  assert.equal(troubled.total_output_tokens, plain.total_output_tokens)
  assert.ok(troubled.recoveries > 0 && plain.recoveries === 0, `${label}, ${troubled.recoveries} recoveries`)
  assert.ok((troubled.e2e_ms.p99 ?? 0) > (plain.e2e_ms.p99 ?? 0), label)
})

test('a trial that is decided ends at once', () => {
  const one = scenario()
  const { report, cutShort } = runTrial({ scenario: one, variant: one.variants[0]!, ratePerSec: 8, seed: 1, rows: [], isDecided: ({ gaps }) => gaps.count > 50 })
  assert.equal(cutShort, true)
  assert.ok(report.offered < 40 && report.duration_s < 6)
})
