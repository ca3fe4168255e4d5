import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { selectNodes } from './select.ts'
import type { SpeculationDemand } from './select.ts'

function demandOf(pathProbability: readonly number[], needTokens = 0, maxNodes = 100): SpeculationDemand {
  return { needTokens, pathProbability: Float64Array.from(pathProbability), numCandidates: pathProbability.length, maxNodes }
}

function randomDemands(random: SeededRandom): SpeculationDemand[] {
  return Array.from({ length: 1 + random.int(3) }, () => {
    const probabilities = Array.from({ length: random.int(6) }, () => Math.round(random.next() * 50) / 50).sort((a, b) => b - a)
    return demandOf(probabilities, random.next() < 0.4 ? 0 : 3 * random.next(), random.next() < 0.2 ? random.int(4) : 100)
  })
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)

/** Every way to take a prefix of each request's candidates within the budget. */
function* allChoices(demands: readonly SpeculationDemand[], left: number, taken: readonly number[] = []): Generator<readonly number[]> {
  const demand = demands[taken.length]
  if (demand === undefined) {
    yield taken
    return
  }
  for (let count = 0; count <= Math.min(left, demand.numCandidates, demand.maxNodes); count++) yield* allChoices(demands, left - count, [...taken, count])
}

function expected(demands: readonly SpeculationDemand[], counts: readonly number[]): number[] {
  return demands.map(({ pathProbability }, index) => pathProbability.subarray(0, counts[index]!).reduce((total, value) => total + value, 1))
}

test('worked example: the needy request is served first, the rest of the budget goes to the likeliest nodes', () => {
  // Two roots leave 4 nodes. B needs 1.9 tokens: .5 + .4 meet it. Then A's .9 and .7 beat B's .3.
  const demands = [demandOf([0.9, 0.7, 0.2]), demandOf([0.5, 0.4, 0.3], 1.9)]
  const { numNodes, expectedTokens, totalNodes, neededNodes } = selectNodes(demands, { budgetTokens: 6, minProbability: 0 })
  assert.deepEqual([...numNodes], [2, 2])
  assert.deepEqual([...expectedTokens].map((value) => Number(value.toFixed(9))), [2.6, 1.9])
  assert.deepEqual({ totalNodes, neededNodes }, { totalNodes: 4, neededNodes: 2 })
})

test('phase 2 stops at nodes that cost more than they bring, phase 1 does not', () => {
  const demands = [demandOf([0.9, 0.2, 0.1], 2.15), demandOf([0.4, 0.1])]
  assert.deepEqual([...selectNodes(demands, { budgetTokens: 100, minProbability: 0.3 }).numNodes], [3, 1])
})

test('no room beyond the roots is no speculation, and less is refused', () => {
  const demands = [demandOf([0.9], 2), demandOf([0.9], 2)]
  assert.deepEqual([...selectNodes(demands, { budgetTokens: 2, minProbability: 0 }).numNodes], [0, 0])
  assert.throws(() => selectNodes(demands, { budgetTokens: 1, minProbability: 0 }), RangeError)
})

test('against brute force: minimal for the needs, optimal with what is left, within budget and caps', () => {
  const seed = testSeed(61)
  const random = seededRandom(seed)
  for (let round = 0; round < 400; round++) {
    const demands = randomDemands(random)
    const budgetTokens = demands.length + random.int(10)
    const label = `seed ${seed}, round ${round}`
    const { numNodes, expectedTokens, totalNodes, neededNodes } = selectNodes(demands, { budgetTokens, minProbability: -1 })
    assert.ok(demands.length + totalNodes <= budgetTokens, label)
    assert.deepEqual([...expectedTokens], expected(demands, [...numNodes]), label)
    const choices = [...allChoices(demands, budgetTokens - demands.length)]
    const meets = (counts: readonly number[]): boolean => expected(demands, counts).every((tokens, index) => tokens >= demands[index]!.needTokens)
    const feasible = choices.filter(meets)
    assert.equal(meets([...numNodes]), feasible.length > 0, label)
    if (feasible.length === 0) continue
    assert.equal(neededNodes, Math.min(...feasible.map(sum)), label)
    const best = Math.max(...feasible.map((counts) => sum(expected(demands, counts))))
    assert.ok(Math.abs(sum(expectedTokens) - best) < 1e-9, `${label}: ${sum(expectedTokens)} tokens, ${best} are possible`)
  }
})

test('the order of the requests does not matter', () => {
  const seed = testSeed(62)
  const random = seededRandom(seed)
  for (let round = 0; round < 200; round++) {
    const demands = randomDemands(random)
    const budgetTokens = demands.length + random.int(10)
    const total = (order: readonly SpeculationDemand[]): number => sum(selectNodes(order, { budgetTokens, minProbability: 0.1 }).expectedTokens)
    const needless = demands.map((demand) => ({ ...demand, needTokens: 0 }))
    assert.ok(Math.abs(total(needless) - total(needless.toReversed())) < 1e-9, `seed ${seed}, round ${round}`)
  }
})
