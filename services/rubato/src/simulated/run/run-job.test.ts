// Jobs on this thread and on others, and searches.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseScenario } from '../scenario/read-scenario.ts'
import type { Scenario } from '../scenario/scenario.ts'
import { jobsOf } from './jobs.ts'
import type { Job } from './jobs.ts'
import { runJobs } from './pool/worker-pool.ts'
import { runJob } from './run-job.ts'
import { CATALOG } from './trial/hardware.ts'

const SCENARIO = `
name: jobs
description: two small fleets
primary_metric: slo_attainment
seeds: 1..2
timer: distserve
variants:
  - name: colocated
    fleet: [{name: a, accelerator: a100-80gb, model: opt-13b, count: 2}]
  - name: pair
    fleet:
      - {name: p, accelerator: a100-80gb, model: opt-13b, role: prefill}
      - {name: d, accelerator: a100-80gb, model: opt-13b, role: decode}
workload: {lengths: {kind: lognormal, prompt: {median: 100, p90: 300}, output: {median: 10, p90: 20}}, arrivals: poisson, rates: [5, 10], num_requests: 30}
slo: {ttft_ms: 250, tpot_ms: 100}
`

const read = (text: string): Scenario => parseScenario(text, '/scenarios/jobs.yaml', CATALOG)

test('every variant runs at every rate with every seed; the first seed keeps details', () => {
  const jobs = jobsOf(read(SCENARIO), [7, 8])
  assert.equal(new Set(jobs.map((job) => JSON.stringify(job))).size, 8)
  assert.deepEqual(jobs.slice(0, 3), [
    { variant: 0, seed: 7, ratePerSec: 5, keepsDetails: true }, { variant: 1, seed: 7, ratePerSec: 5, keepsDetails: true }, { variant: 0, seed: 8, ratePerSec: 5, keepsDetails: false },
  ])
})

test('a job brings the same on a thread of its own', async () => {
  const scenario = read(SCENARIO)
  const jobs: Job[] = [{ variant: 1, seed: 3, ratePerSec: 10, keepsDetails: true }, { variant: 0, seed: 3, ratePerSec: 10, keepsDetails: false }]
  const seen: number[] = []
  const results = await runJobs({ scenario, jobs, numThreads: 1, onProgress: () => {}, onDone: (index) => seen.push(index), signal: new AbortController().signal })
  assert.deepEqual(results, jobs.map((job) => runJob(scenario, [], job, () => {})))
  assert.deepEqual(seen, [0, 1])
  assert.deepEqual(results.map((result) => result?.trial?.details === null), [false, true])
})

test('a search finds a capacity between a rate that passed and one that failed', () => {
  const scenario = read(`${SCENARIO.replace('rates: [5, 10], ', '')}search: {kind: capacity, pass: {attainment: 0.9}, start_rate: 8, granularity: 0.5}\n`)
  for (const job of jobsOf(scenario, [1])) {
    const { search, trial } = runJob(scenario, [], job, () => {})
    assert.ok(search !== null && trial !== null)
    const { capacity, trials } = search
    assert.ok(trials.some(({ rate, passed }) => rate === capacity && passed) && trials.some(({ rate, passed }) => rate > capacity && !passed), JSON.stringify(search))
    assert.equal(search.capacity_goodput, capacity / 2)
    assert.deepEqual([trial.rate, (trial.slo_attainment ?? 0) >= 0.9, trial.completed], [capacity, true, 30])
  }
})
