// Planned workloads: the same for the same seed, and as their distributions say.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testSeed } from '@rubato/testing'
import type { TraceRow } from '../../bench/serve/dataset/trace-rows.ts'
import { mean, percentile, standardDeviation } from '../../bench/statistics.ts'
import type { WorkloadSpec } from '../scenario/scenario.ts'
import { planWorkload } from './plan-workload.ts'
import type { PlanContext } from './plan-workload.ts'
import type { PlannedRequest } from './planned-request.ts'
import { promptTokenIds } from './prompt-tokens.ts'

const SPEC: WorkloadSpec = {
  lengths: { kind: 'lognormal', prompt: { median: 1730, p90: 5696 }, output: { median: 415, p90: 834 } },
  arrivals: { kind: 'poisson' }, rate: 4, rates: null, numRequests: 10_000, durationS: null, overLength: 'cut', classes: null,
}
const CONTEXT: PlanContext = { seed: 1, ratePerSec: 4, maxModelLen: 1_000_000, rows: [], targetsOf: () => ({ ttftMs: 100, tpotMs: null }) }

const plan = (spec: Partial<WorkloadSpec>, context: Partial<PlanContext> = {}): ReturnType<typeof planWorkload> => planWorkload({ ...SPEC, ...spec }, { ...CONTEXT, ...context })
const gapsOf = (requests: readonly PlannedRequest[]): number[] => requests.slice(1).map(({ arrivalMs }, index) => arrivalMs - requests[index]!.arrivalMs)
const row = (arrivalMs: number, inputTokens: number, outputTokens: number): TraceRow => ({ arrivalMs, inputTokens, outputTokens, blockIds: [] })

function near(actual: number | null, expected: number, ratio: number, label: string): void {
  assert.ok(actual !== null && Math.abs(actual - expected) <= ratio * expected, `${label}: ${actual} is not within ${ratio} of ${expected}`)
}

test('a seed decides everything, and another seed everything else', () => {
  const seed = testSeed(11)
  const spec: Partial<WorkloadSpec> = { numRequests: 200, classes: [{ name: 'a', share: 1, priority: 0, slo: null }, { name: 'b', share: 1, priority: 5, slo: { ttftMs: 1, tpotMs: 2 } }] }
  assert.deepEqual(plan(spec, { seed }), plan(spec, { seed }), `seed ${seed}`)
  assert.notDeepEqual(plan(spec, { seed }).requests, plan(spec, { seed: seed + 1 }).requests)
})

test('a rate stretches arrivals and leaves the requests as they are', () => {
  const [slow, fast] = [plan({ numRequests: 50 }, { ratePerSec: 1 }), plan({ numRequests: 50 }, { ratePerSec: 10 })]
  assert.deepEqual(slow.requests.map(({ promptTokens, outputTokens }) => [promptTokens, outputTokens]), fast.requests.map(({ promptTokens, outputTokens }) => [promptTokens, outputTokens]))
  slow.requests.forEach(({ arrivalMs }, index) => near(arrivalMs, 10 * fast.requests[index]!.arrivalMs, 1e-9, 'arrival'))
})

test('log-normal lengths have the median and the 90th percentile asked for', () => {
  const seed = testSeed(12)
  const { requests } = plan({}, { seed })
  const prompts = requests.map(({ promptTokens }) => promptTokens).toSorted((a, b) => a - b)
  const outputs = requests.map(({ outputTokens }) => outputTokens).toSorted((a, b) => a - b)
  near(percentile(prompts, 50), 1730, 0.04, `seed ${seed}, prompt median`)
  near(percentile(prompts, 90), 5696, 0.04, `seed ${seed}, prompt P90`)
  near(percentile(outputs, 50), 415, 0.03, `seed ${seed}, output median`)
  near(percentile(outputs, 90), 834, 0.03, `seed ${seed}, output P90`)
})

test('lengths between quantiles have the quantiles asked for, and none lies outside', () => {
  const seed = testSeed(14)
  const points = [[0, 1], [0.5, 1730], [0.9, 5696], [1, 7500]] as const
  const lengths: WorkloadSpec['lengths'] = { kind: 'quantiles', prompt: points.map(([share, length]) => [share, length]), output: [[0, 7], [1, 7]] }
  const { requests } = plan({ lengths }, { seed })
  const prompts = requests.map(({ promptTokens }) => promptTokens).toSorted((a, b) => a - b)
  near(percentile(prompts, 25), 865, 0.04, `seed ${seed}, prompt P25`)
  near(percentile(prompts, 50), 1730, 0.08, `seed ${seed}, prompt median`)
  near(percentile(prompts, 90), 5696, 0.04, `seed ${seed}, prompt P90`)
  assert.ok(prompts[0]! >= 1 && prompts.at(-1)! <= 7500, `seed ${seed}: ${prompts[0]}, ${prompts.at(-1)}`)
  assert.ok(requests.every(({ outputTokens }) => outputTokens === 7))
})

test('gaps have the mean of the rate and the variation asked for', () => {
  const seed = testSeed(13)
  const cases = [{ arrivals: { kind: 'poisson' }, cv: 1 }, { arrivals: { kind: 'gamma', cv: 4 }, cv: 4 }, { arrivals: { kind: 'gamma', cv: 0.5 }, cv: 0.5 }, { arrivals: { kind: 'even' }, cv: 0 }] as const
  for (const { arrivals, cv } of cases) {
    const gaps = gapsOf(plan({ arrivals }, { seed }).requests)
    const meanMs = mean(gaps)
    near(meanMs, 250, 0.02, `seed ${seed}, ${arrivals.kind} mean`)
    const actual = standardDeviation(gaps)! / meanMs!
    assert.ok(Math.abs(actual - cv) <= Math.max(0.001, 0.1 * cv), `seed ${seed}, ${arrivals.kind}: coefficient of variation ${actual}, not ${cv}`)
  }
})

test('a duration is as many requests as the rate brings in it', () => {
  const { requests } = plan({ numRequests: null, durationS: 30 })
  assert.equal(requests.length, 120)
  assert.ok(requests.at(-1)!.arrivalMs <= 30_000 * (1 + 1e-9))
})

test('classes come by their shares, with targets and priority of their own or of the scenario', () => {
  const seed = testSeed(14)
  const { requests } = plan({ classes: [{ name: 'chat', share: 3, priority: 0, slo: null }, { name: 'code', share: 1, priority: -5, slo: { ttftMs: 9, tpotMs: 7 } }] }, { seed })
  const code = requests.filter(({ className }) => className === 'code')
  near(code.length / requests.length, 0.25, 0.05, `seed ${seed}, share`)
  assert.deepEqual([code[0]?.priority, code[0]?.targets], [-5, { ttftMs: 9, tpotMs: 7 }])
  assert.deepEqual(requests.find(({ className }) => className === 'chat')?.targets, { ttftMs: 100, tpotMs: null })
})

const ROWS = [row(0, 10, 1), row(1000, 20, 2), row(3000, 30, 3)]

test('a trace without jitter comes at its own times, and goes round with a gap of its mean', () => {
  const { requests } = plan({ lengths: { kind: 'trace', file: 't', order: 'file' }, arrivals: { kind: 'trace', jitterRatio: 0 }, numRequests: 7 }, { rows: ROWS, ratePerSec: null })
  assert.deepEqual(requests.map(({ arrivalMs }) => arrivalMs), [0, 1000, 3000, 4500, 5500, 7500, 9000])
  assert.deepEqual(requests.map(({ promptTokens }) => promptTokens), [10, 20, 30, 10, 20, 30, 10])
})

test('without limits a trace is run once, and a duration ends it', () => {
  const spec: Partial<WorkloadSpec> = { lengths: { kind: 'trace', file: 't', order: 'file' }, arrivals: { kind: 'trace', jitterRatio: 0 }, numRequests: null }
  assert.equal(plan(spec, { rows: ROWS, ratePerSec: null }).requests.length, 3)
  assert.deepEqual(plan({ ...spec, durationS: 5 }, { rows: ROWS, ratePerSec: null }).requests.map(({ arrivalMs }) => arrivalMs), [0, 1000, 3000, 4500])
})

test('jitter changes each gap by no more than its share, differently for each seed', () => {
  const seed = testSeed(15)
  const spec: Partial<WorkloadSpec> = { lengths: { kind: 'trace', file: 't', order: 'file' }, arrivals: { kind: 'trace', jitterRatio: 0.2 }, numRequests: 300 }
  const gaps = gapsOf(plan(spec, { rows: ROWS, ratePerSec: null, seed }).requests)
  gaps.forEach((gap, index) => {
    const plainMs = [1000, 2000, 1500][index % 3]!
    assert.ok(gap >= 0.8 * plainMs && gap <= 1.2 * plainMs, `seed ${seed}: gap ${index} is ${gap}`)
  })
  assert.notDeepEqual(gaps, gapsOf(plan(spec, { rows: ROWS, ratePerSec: null, seed: seed + 1 }).requests))
})

test('a trace at a given rate keeps its shape', () => {
  const spec: Partial<WorkloadSpec> = { lengths: { kind: 'trace', file: 't', order: 'file' }, arrivals: { kind: 'trace', jitterRatio: 0 }, numRequests: 300 }
  const gaps = gapsOf(plan(spec, { rows: ROWS, ratePerSec: 10 }).requests)
  near(mean(gaps), 100, 0.01, 'mean gap')
  near(gaps[1]! / gaps[0]!, 2, 1e-6, 'ratio of gaps')
})

test('rows drawn at random keep prompt and output together; independent ones do not', () => {
  const together = plan({ lengths: { kind: 'trace', file: 't', order: 'random' }, numRequests: 300 }, { rows: ROWS })
  assert.ok(together.requests.every(({ promptTokens, outputTokens }) => promptTokens === 10 * outputTokens))
  const independent = plan({ lengths: { kind: 'trace', file: 't', order: 'independent' }, numRequests: 300 }, { rows: ROWS })
  assert.equal(new Set(independent.requests.map(({ promptTokens, outputTokens }) => `${promptTokens} ${outputTokens}`)).size, 9)
})

test('what is longer than the model allows is cut, prompt first, and counted', () => {
  const rows = [row(0, 90, 20), row(1, 50, 50), row(2, 5, 500)]
  const { requests, numCut, numRedrawn } = plan({ lengths: { kind: 'trace', file: 't', order: 'file' }, numRequests: 3 }, { rows, maxModelLen: 100 })
  assert.deepEqual(requests.map(({ promptTokens, outputTokens }) => [promptTokens, outputTokens]), [[80, 20], [50, 50], [1, 99]])
  assert.deepEqual([numCut, numRedrawn], [2, 0])
})

test('or drawn again', () => {
  const rows = [row(0, 90, 20), row(1, 50, 50)]
  const { requests, numCut, numRedrawn } = plan({ lengths: { kind: 'trace', file: 't', order: 'file' }, numRequests: 3, overLength: 'redraw' }, { rows, maxModelLen: 100 })
  assert.ok(requests.every(({ promptTokens }) => promptTokens === 50))
  assert.deepEqual([numCut, numRedrawn], [0, 3])
  assert.equal(plan({ lengths: { kind: 'fixed', prompt: 200, output: 1 }, numRequests: 1, overLength: 'redraw' }, { maxModelLen: 100 }).numCut, 1)
})

test('prompts are equal exactly where the trace says so', () => {
  const ids = (index: number, promptTokens: number, blockIds: readonly number[]): number[] => promptTokenIds({ index, promptTokens, blockIds }, 3, 32_000)
  const [a, b, c] = [ids(0, 1500, [7, 8, 9]), ids(1, 1100, [7, 8, 10]), ids(2, 600, [])]
  assert.deepEqual(a.slice(0, 1024), b.slice(0, 1024))
  assert.notDeepEqual(a.slice(1024, 1100), b.slice(1024))
  assert.notDeepEqual(c.slice(0, 100), a.slice(0, 100))
  assert.deepEqual([a.length, b.length, c.length], [1500, 1100, 600])
  assert.ok(c.every((id) => id >= 0 && id < 32_000))
})
