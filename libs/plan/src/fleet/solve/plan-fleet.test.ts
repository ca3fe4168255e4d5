// The cheapest fleet: the published example, brute force on small random loads, and what must hold of every plan. About 3 s.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { openMilpSolver } from '../../milp/highs-solver.ts'
import { exampleProblem, randomProblem } from '../fixtures/problems.ts'
import { loadedBuckets, sliceLoad } from '../problem/problem.ts'
import type { FleetProblem } from '../problem/problem.ts'
import { LOAD_TOLERANCE, planFleet } from './plan-fleet.ts'
import type { FleetPlan, PlanFleetOptions } from './plan-fleet.ts'
import { singleTypes } from './single-types.ts'

const solver = await openMilpSolver()
const seed = testSeed(77)

/** Long enough for the busiest machine: every problem here but the large one is solved. */
const TIME_LIMIT_SEC = 120

function planned(problem: FleetProblem, options: PlanFleetOptions = {}): FleetPlan {
  const outcome = planFleet(problem, solver, { timeLimitSec: TIME_LIMIT_SEC, ...options })
  assert.equal(outcome.kind, 'planned', `seed ${seed}`)
  return (outcome as Extract<typeof outcome, { kind: 'planned' }>).plan
}

const small = (random: SeededRandom): FleetProblem => randomProblem(random, { numInputs: 2, numOutputs: 2, numTypes: 3, ratePerBucket: 4, sliceFactor: 2 })

/** Least cost over every way to hand out the slices of every bucket. */
function bruteForce(problem: FleetProblem): number {
  const { types, sliceFactor } = problem
  let best = Infinity
  const hand = (buckets: readonly number[], loads: readonly number[]): void => {
    const [bucket, ...rest] = buckets
    if (bucket === undefined) {
      best = Math.min(best, types.reduce((sum, { usdPerHour }, type) => sum + usdPerHour * Math.ceil(loads[type]! - LOAD_TOLERANCE), 0))
      return
    }
    for (const split of splits(sliceFactor, types.length)) {
      if (split.some((count, type) => count > 0 && sliceLoad(problem, bucket, type) === null)) continue
      hand(rest, loads.map((load, type) => load + (split[type] === 0 ? 0 : split[type]! * sliceLoad(problem, bucket, type)!)))
    }
  }
  hand(loadedBuckets(problem), types.map(() => 0))
  return best
}

/** Every way to write `total` as an ordered sum of `parts` whole numbers. */
function splits(total: number, parts: number): number[][] {
  if (parts === 1) return [[total]]
  return Array.from({ length: total + 1 }, (_, first) => splits(total - first, parts - 1).map((rest) => [first, ...rest])).flat()
}

test("Mélange's example: three A10G and one A100 for 6.70 $/h, whose loads lie exactly on their counts", () => {
  for (const formulation of ['compact', 'slices'] as const) {
    const plan = planned(exampleProblem(), { formulation })
    assert.deepEqual(plan.counts, [3, 1])
    assert.ok(Math.abs(plan.usdPerHour - 6.7) < 1e-9 && plan.gapRatio === 0)
    assert.ok(Math.abs(plan.loads[0]! - 3) < 1e-9)
  }
  assert.deepEqual(singleTypes(exampleProblem()).map((single) => (single.kind === 'enough' ? [single.count, Number(single.usdPerHour.toFixed(2))] : single.kind)), [[12, 12.12], [2, 7.34]])
})

test('small random loads cost what brute force finds, by both formulations', () => {
  const random = seededRandom(seed)
  for (let round = 0; round < 6; round++) {
    const problem = small(random)
    const best = bruteForce(problem)
    for (const formulation of ['compact', 'slices'] as const) {
      const { usdPerHour, gapRatio } = planned(problem, { formulation })
      assert.ok(Math.abs(usdPerHour - best) < 1e-6 && gapRatio === 0, `seed ${seed}, round ${round}, ${formulation}: ${usdPerHour}, brute force ${best}`)
    }
  }
})

test('a plan serves every slice where it can be, within its counts', () => {
  const random = seededRandom(seed)
  const problem = { ...randomProblem(random, { numInputs: 4, numOutputs: 3, numTypes: 4, ratePerBucket: 3, sliceFactor: 4 }), headroomRatio: 0.1 }
  const forbidden = problem.types.map((type, index) => (index === 0 ? { ...type, maxRatePerSec: type.maxRatePerSec.map((rate, bucket) => (bucket % 2 === 0 ? 0 : rate)) } : type))
  const plan = planned({ ...problem, types: forbidden })
  plan.weights.forEach((shares, bucket) => {
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-9)
    if (bucket % 2 === 0) assert.equal(shares[0], 0)
  })
  plan.counts.forEach((count, type) => assert.ok(plan.loads[type]! <= count + LOAD_TOLERANCE))
  const served = plan.weights.map((shares, bucket) => shares.reduce((sum, share, type) => sum + (share === 0 ? 0 : (share * problem.ratePerSec[bucket]!) / (0.9 * forbidden[type]!.maxRatePerSec[bucket]!)), 0))
  assert.ok(Math.abs(served.reduce((sum, load) => sum + load, 0) - plan.loads.reduce((sum, load) => sum + load, 0)) < 1e-9)
})

test('more load never costs less; more types, more slices and less head-room never cost more', () => {
  const random = seededRandom(seed + 1)
  for (let round = 0; round < 3; round++) {
    const problem = randomProblem(random, { numInputs: 3, numOutputs: 2, numTypes: 3, ratePerBucket: 3, sliceFactor: 2 })
    const cost = (changed: Partial<FleetProblem>): number => planned({ ...problem, ...changed }).usdPerHour
    const base = cost({})
    const notes = `seed ${seed}, round ${round}`
    assert.ok(cost({ ratePerSec: problem.ratePerSec.map((rate) => 1.3 * rate) }) >= base - 1e-9, notes)
    assert.ok(cost({ types: problem.types.slice(0, 2) }) >= base - 1e-9, notes)
    assert.ok(cost({ sliceFactor: 4 }) <= base + 1e-9, notes)
    assert.ok(cost({ headroomRatio: 0.2 }) >= base - 1e-9, notes)
    for (const single of singleTypes(problem)) assert.ok(single.kind === 'enough' && single.usdPerHour >= base - 1e-9, notes)
  }
})

test('stock is a limit: within it another mix is found, beyond it that is the outcome', () => {
  const example = exampleProblem()
  const [a10g, a100] = example.types
  const withStock = (first: number, second: number): FleetProblem => ({ ...example, types: [{ ...a10g!, stock: first }, { ...a100!, stock: second }] })
  assert.deepEqual(planned(withStock(2, 9)).counts, [0, 2])
  assert.deepEqual(planFleet(withStock(2, 1), solver), { kind: 'short-of-stock' })
  assert.deepEqual(singleTypes(withStock(2, 1)).map(({ kind }) => kind), ['short-of-stock', 'short-of-stock'])
})

test('a bucket that nobody can serve is named; one without load is nobody\'s business', () => {
  const example = exampleProblem()
  const types = example.types.map((type) => ({ ...type, maxRatePerSec: [0, ...type.maxRatePerSec.slice(1)] }))
  assert.deepEqual(planFleet({ ...example, types }, solver), { kind: 'unservable', buckets: [0] })
  assert.deepEqual(singleTypes({ ...example, types }).map(({ kind }) => kind), ['unservable', 'unservable'])
  const without = planned({ ...example, types, ratePerSec: [0, ...example.ratePerSec.slice(1)] })
  assert.deepEqual(without.weights[0], [0, 0])
})

test('no load needs no fleet', () => {
  const { counts, usdPerHour, gapRatio } = planned({ ...exampleProblem(), ratePerSec: [0, 0, 0, 0] })
  assert.deepEqual([counts, usdPerHour, gapRatio], [[0, 0], 0, 0])
})

test('a large problem says how far it may be from the optimum', (t) => {
  const problem = randomProblem(seededRandom(seed), { numInputs: 10, numOutputs: 6, numTypes: 4, ratePerBucket: 2, sliceFactor: 8 })
  const { usdPerHour, boundUsdPerHour, gapRatio } = planned(problem, { timeLimitSec: 3 })
  t.diagnostic(`${usdPerHour.toFixed(3)} $/h, gap ${(100 * gapRatio).toFixed(4)} %`)
  assert.ok(gapRatio >= 0 && gapRatio < 1 && Math.abs(usdPerHour * (1 - gapRatio) - boundUsdPerHour) < 1e-6)
})

test('what makes no sense is refused by its field', () => {
  const example = exampleProblem()
  const refused = (changed: Partial<FleetProblem>, field: string): void => assert.throws(() => planFleet({ ...example, ...changed }, solver), (error) => error instanceof InvalidArgument && error.field === field)
  refused({ sliceFactor: 0 }, 'slice_factor')
  refused({ headroomRatio: 1 }, 'headroom')
  refused({ ratePerSec: [1, -1, 1, 1] }, 'rate')
  refused({ types: [] }, 'types')
  refused({ types: [example.types[0]!, example.types[0]!] }, 'types[1].name')
  refused({ types: [{ ...example.types[0]!, maxRatePerSec: [1] }] }, 'types[0].profile')
  refused({ types: [{ ...example.types[0]!, stock: 0.5 }] }, 'types[0].stock')
})
