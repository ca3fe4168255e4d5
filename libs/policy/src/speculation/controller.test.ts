import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import type { StepCostModel } from '../cost-model/model.ts'
import type { CandidateTree } from './candidates.ts'
import { SpeculationController } from './controller.ts'
import { needOf, RECOVERY_STEPS } from './controller/need.ts'
import { isSpeculationPolicyName, speculationPolicy } from './controller/policies.ts'
import type { SpeculatingSequence } from './controller/snapshot.ts'
import { VirtualDecoder } from './fixtures/virtual-decoder.ts'
import { CPU_MACHINE } from './fixtures/virtual-machine.ts'
import { EASY_TEXT, HARD_TEXT } from './fixtures/virtual-text.ts'

const NAMES = ['auto', 'static:4', 'ngram', 'smartspec', 'adaserve'] as const

const costs = (perNodeMs: number, fixedMs = 5): StepCostModel => ({
  decode: { fixedMs, perSequenceMs: perNodeMs, perNodeMs, perContextTokenMs: 0 }, cell: { fixedMs: 5, perTokenMs: 0.1, perPairMs: 0 }, correctionRatio: 1,
})

function chain(...pathProbability: readonly number[]): CandidateTree {
  const nodes = pathProbability.map((_, node) => node)
  return { tokenIds: nodes, parents: nodes.map((node) => node - 1), pathProbability: Float64Array.from(pathProbability), ranks: nodes.map(() => 0), gaps: nodes.map(() => 1) }
}

function sequence(fields: Partial<SpeculatingSequence> = {}): SpeculatingSequence {
  return { contextTokens: 100, acceptanceClass: 0, tpotMs: null, elapsedMs: 0, emittedTokens: 0, remainingTokens: 100, tree: null, ...fields }
}

function randomSequence(random: SeededRandom): SpeculatingSequence {
  const probability: number[] = []
  for (let node = random.int(9); node > 0; node--) probability.push((probability.at(-1) ?? 1) * random.next())
  const emittedTokens = random.int(50)
  return sequence({
    contextTokens: random.int(1000), acceptanceClass: random.int(3), emittedTokens, remainingTokens: 1 + random.int(40),
    tpotMs: random.next() < 0.5 ? null : [0.001, 5, 20, Infinity][random.int(4)]!, elapsedMs: 20 * random.next() * emittedTokens, tree: probability.length === 0 ? null : chain(...probability),
  })
}

test('whatever the policy: nodes are within the budget and the candidates, expectations are those of the nodes', () => {
  const seed = testSeed(91)
  const random = seededRandom(seed)
  for (const name of NAMES) {
    for (let round = 0; round < 200; round++) {
      const controller = new SpeculationController(speculationPolicy(name))
      const sequences = Array.from({ length: 1 + random.int(6) }, () => randomSequence(random))
      const budgetTokens = sequences.length + random.int(20)
      const plan = controller.verify({ sequences, cells: [], budgetTokens }, random.next() < 0.2 ? null : costs(random.next()))
      const label = `seed ${seed}, ${name}, round ${round}`
      assert.ok(plan.numNodes.reduce((sum, count) => sum + count, sequences.length) <= budgetTokens, label)
      for (const [index, { tree, remainingTokens }] of sequences.entries()) {
        const count = plan.numNodes[index]!
        assert.ok(count <= (remainingTokens < 2 ? 0 : (tree?.tokenIds.length ?? 0)), label)
        assert.ok(plan.neededNodes[index]! <= count, label)
        const expected = tree === null ? 1 : tree.pathProbability.subarray(0, count).reduce((sum, value) => sum + value, 1)
        assert.ok(Math.abs(plan.expectedTokens[index]! - expected) < 1e-9, label)
      }
    }
  }
})

test('auto verifies what pays: long chains on a flat machine, nothing on a steep one', () => {
  const nodesAt = (perNodeMs: number, probability: number): number => {
    const tree = chain(...Array.from({ length: 8 }, (_, depth) => probability ** (depth + 1)))
    return new SpeculationController(speculationPolicy('auto')).verify({ sequences: [sequence({ tree })], cells: [], budgetTokens: 100 }, costs(perNodeMs)).numNodes[0]!
  }
  assert.equal(nodesAt(0.01, 0.9), 8)
  assert.equal(nodesAt(20, 0.6), 0)
  const [steep, flat] = [nodesAt(1, 0.7), nodesAt(0.1, 0.7)]
  assert.ok(steep < flat, `${steep} and ${flat}`)
})

test('auto gives a sequence that is behind its target the node that saves it, although it does not pay', () => {
  const tree = chain(0.5, 0.3, 0.2)
  const behind = sequence({ tree, tpotMs: 20, elapsedMs: 192, emittedTokens: 9 })
  // A run is cheaper than a node: the other sequence gains nothing by joining.
  const plan = new SpeculationController(speculationPolicy('auto')).verify({ sequences: [sequence({ tree }), behind], cells: [], budgetTokens: 100 }, costs(5, 1))
  // With a node for it the step takes 17 ms: by then it needs 1.45 tokens, and a node brings 1.5.
  assert.deepEqual([[...plan.numNodes], [...plan.neededNodes]], [[0, 1], [0, 1]])
})

test('one run for all: a sequence gets a node that is not worth it by itself where that saves a run', () => {
  const sequences = [sequence({ tree: chain(0.9, 0.8, 0.7, 0.6) }), sequence({ tree: chain(0.05, 0.04) })]
  const nodesAt = (fixedMs: number): readonly number[] => [...new SpeculationController(speculationPolicy('auto')).verify({ sequences, cells: [], budgetTokens: 100 }, costs(4, fixedMs)).numNodes]
  assert.deepEqual(nodesAt(60), [4, 1])
  assert.equal(nodesAt(1)[1], 0)
})

test('needs: on time, recoverable within the horizon, lost', () => {
  const at = (fields: Partial<SpeculatingSequence>, stepMs: number, most: number) => needOf(sequence({ tpotMs: 10, ...fields }), stepMs, most)
  assert.deepEqual(at({ tpotMs: null }, 1000, 1), { standing: 'on-time', needTokens: 0 })
  assert.deepEqual(at({ elapsedMs: 50, emittedTokens: 5 }, 10, 4), { standing: 'on-time', needTokens: 1 })
  assert.deepEqual(at({ elapsedMs: 60, emittedTokens: 5 }, 10, 4), { standing: 'recoverable', needTokens: 2 })
  assert.deepEqual(at({ elapsedMs: 90, emittedTokens: 5 }, 10, 4), { standing: 'recoverable', needTokens: 4 })
  assert.deepEqual(at({ elapsedMs: 50 + 10 * 3 * (RECOVERY_STEPS + 2), emittedTokens: 5 }, 10, 4), { standing: 'lost', needTokens: 0 })
  assert.deepEqual(at({ elapsedMs: 90, emittedTokens: 5 }, 100, 4), { standing: 'lost', needTokens: 0 })
})

test('as its target ends within sixteen tokens a sequence gets nodes to spare', () => {
  const tree = chain(0.8, 0.6, 0.5, 0.4)
  const needed = (remainingTokens: number): number => {
    const behind = sequence({ tree, tpotMs: 10, elapsedMs: 100, emittedTokens: 9, remainingTokens })
    return new SpeculationController(speculationPolicy('auto')).verify({ sequences: [behind], cells: [], budgetTokens: 100 }, costs(0.1, 5)).neededNodes[0]!
  }
  // About 1.6 tokens are needed: the first node brings 1.8, give or take 0.4.
  assert.equal(needed(17), 1)
  assert.ok(needed(16) > 1)
})

test('off asks for nothing, and never learns', () => {
  const decoder = new VirtualDecoder(speculationPolicy('off'), { machine: CPU_MACHINE, random: seededRandom(1), noise: 0 })
  for (let count = 0; count < 100; count++) assert.deepEqual(decoder.step(4, EASY_TEXT).shape, { kind: 'off' })
  assert.equal(decoder.controller.wantsLookup, false)
})

test('AdaServe never stops drafting and spends its whole budget', () => {
  const decoder = new VirtualDecoder(speculationPolicy('adaserve'), { machine: CPU_MACHINE, random: seededRandom(2), noise: 0 })
  for (let count = 0; count < 50; count++) {
    const { shape } = decoder.step(8, HARD_TEXT)
    assert.ok(shape.kind === 'draft' && shape.depth >= 4)
  }
  const tree = chain(0.01, 0.001, 0.0001)
  assert.equal(new SpeculationController(speculationPolicy('adaserve')).verify({ sequences: [sequence({ tree })], cells: [], budgetTokens: 100 }, costs(5)).numNodes[0], 3)
})

test('estimates of a class come true: the calibration ratio goes to one', () => {
  const seed = testSeed(92)
  const random = seededRandom(seed)
  const controller = new SpeculationController(speculationPolicy('auto'))
  const acceptance = (gap: number): number => 0.3 + 0.2 * gap
  for (let step = 0; step < 3000; step++) {
    const gaps = [3 * random.next(), 3 * random.next(), 3 * random.next()]
    const nodes = gaps.map((_, node) => node)
    const tree = controller.estimated(1, { tokenIds: nodes, parents: nodes.map((node) => node - 1), pathProbability: new Float64Array(3), ranks: nodes.map(() => 0), gaps }, { leastGrown: 0, depth: 3 })
    let emitted = 1
    for (const [place, gap] of gaps.entries()) {
      const accepted = random.next() < acceptance(gap)
      controller.learn(1, 'draft', [{ rank: 0, gap, depth: place + 1, accepted }])
      if (!accepted) break
      emitted += 1
    }
    if (step > 500) controller.settle(1, tree.pathProbability.reduce((sum, value) => sum + value, 1), emitted)
  }
  const ratio = controller.calibrationRatio(1)
  assert.ok(ratio > 0.9 && ratio < 1.1, `seed ${seed}: ${ratio}`)
})

test('policies go by name', () => {
  for (const name of [...NAMES, 'off', 'static:0', 'static:12']) assert.ok(isSpeculationPolicyName(name), name)
  for (const name of ['static', 'static:', 'static:K', 'static:123', 'greedy', '']) assert.ok(!isSpeculationPolicyName(name), name)
  assert.throws(() => speculationPolicy('greedy'), /unknown speculation policy 'greedy': choose one of auto, off, static:K/)
})
