// Placements of instances with constant times, where the best one is known by hand. Milliseconds.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import type { DistServeInstance, Parallelism } from '@rubato/sim/reference'
import { independentPlacement } from './independent-placement.ts'
import { jointPlacement } from './joint-placement.ts'
import type { JointPlacement } from './joint-placement.ts'
import type { PlacementProblem } from './problem.ts'

const NUM_REQUESTS = 50

/** A prompt takes 100 ms and a decode step 10 ms, each less by the square root of tp. */
function toyInstance({ tp, pp }: Parallelism): DistServeInstance | undefined {
  if (pp > 1) return undefined
  const speed = Math.sqrt(tp)
  return { numStages: 1, capacityTokens: 1000, times: { prefillMs: ({ promptTokens }) => promptTokens / speed, decodeMs: () => 10 / speed } }
}

const PROBLEM: PlacementProblem = {
  space: { numHeads: 4, numLayers: 4, numNodes: 1, gpusPerNode: 4, linksBetweenNodes: 'slow' },
  instance: toyInstance,
  workload: (ratePerSec) => Array.from({ length: NUM_REQUESTS }, (_, index) => ({ arrivalMs: (1000 * index) / ratePerSec, promptTokens: 100, outputTokens: 5 })),
  targets: { ttftMs: 150, tpotMs: 20, attainmentRatio: 0.9 },
  rule: 'joint', transferMsPerToken: 0, search: { maxRate: 16, tolerance: 0.125 }, ratePerSec: 24,
}

/** The search to its end, or to that many placements. */
function searched(problem: PlacementProblem, numPlacements = Infinity): JointPlacement {
  const search = jointPlacement(problem)
  let step = search.next()
  while (step.done !== true) step = search.next(step.value.numTried < numPlacements)
  return step.value
}

test('a pair is limited by its prefill of 10 prompts a second: the cheapest pair wins, and is replicated', () => {
  const { plan, ranked, complete } = searched(PROBLEM)
  assert.ok(complete && ranked.length > 1)
  assert.deepEqual([plan?.best.placement.prefill, plan?.best.placement.decode], [{ tp: 1, pp: 1 }, { tp: 1, pp: 1 }])
  assert.ok(Math.abs(plan!.best.ratePerGpu - 5) <= 0.6, `${plan!.best.ratePerGpu} of 5 requests/s and GPU`)
  assert.deepEqual([plan!.numPairs, plan!.numGpus], [Math.ceil(24 / (2 * plan!.best.ratePerGpu)), 2 * Math.ceil(24 / (2 * plan!.best.ratePerGpu))])
})

test('a TTFT below the prompt time of one GPU takes tensor parallelism', () => {
  const { plan, ranked } = searched({ ...PROBLEM, targets: { ...PROBLEM.targets, ttftMs: 90 } })
  assert.deepEqual([plan?.best.placement.prefill.tp, plan?.best.placement.decode.tp], [2, 1])
  for (const { placement, ratePerGpu } of ranked) if (placement.prefill.tp === 1) assert.equal(ratePerGpu, 0)
})

test('a transfer counts against TPOT: too slow a link leaves no placement', () => {
  assert.ok(searched({ ...PROBLEM, transferMsPerToken: 0.3 }).plan !== null)
  assert.equal(searched({ ...PROBLEM, transferMsPerToken: 0.8 }).plan, null)
})

test('marginal quantiles pass where no request may miss both: half of the misses each', () => {
  // Every eighth prompt is too long for its TTFT, every other eighth so for the transfer of its KV.
  const workload: PlacementProblem['workload'] = (ratePerSec) => Array.from({ length: 80 }, (_, index) => ({
    arrivalMs: (1000 * index) / ratePerSec, promptTokens: index % 8 === 0 ? 250 : 50, outputTokens: index % 8 === 4 ? 1 : 50,
  }))
  const problem: PlacementProblem = { ...PROBLEM, workload, transferMsPerToken: 0.3, targets: { ...PROBLEM.targets, attainmentRatio: 0.8 } }
  assert.ok(searched({ ...problem, rule: 'marginal' }).plan !== null)
  assert.equal(searched(problem).plan, null)
})

test('stopped early, it has the best so far and says so', () => {
  const { ranked, complete, plan } = searched(PROBLEM, 1)
  assert.deepEqual([complete, ranked.length], [false, 1])
  assert.equal(plan?.best.placement, ranked[0]?.placement)
})

test('with fast links each phase has instances of its own, as many as the rate takes', () => {
  const { prefill, decode } = independentPlacement(PROBLEM)
  assert.deepEqual([prefill?.parallelism, decode?.parallelism], [{ tp: 1, pp: 1 }, { tp: 1, pp: 1 }])
  assert.equal(prefill!.numInstances, Math.ceil(24 / prefill!.ratePerGpu))
  assert.ok(decode!.ratePerGpu > prefill!.ratePerGpu && decode!.numInstances < prefill!.numInstances)
  assert.equal(independentPlacement({ ...PROBLEM, targets: { ...PROBLEM.targets, tpotMs: 4 } }).decode, null)
})

test('what makes no sense is refused by its field', () => {
  const refused = (changed: Partial<PlacementProblem>, field: string): void => assert.throws(() => searched({ ...PROBLEM, ...changed }), (error) => error instanceof InvalidArgument && error.field === field)
  refused({ ratePerSec: 0 }, 'rate')
  refused({ transferMsPerToken: -1 }, 'transfer')
  refused({ search: { maxRate: 1, tolerance: 2 } }, 'search')
})
