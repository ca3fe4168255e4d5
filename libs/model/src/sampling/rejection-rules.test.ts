// The rules that speculation papers use, as baselines: two of them are wrong for AdaServe's trees, and a test that cannot
// tell them from a right one would prove nothing.
import assert from 'node:assert/strict'
import test from 'node:test'
import { seededRandom } from '@rubato/testing'
import { plainParams } from './reference/naive-sampler.ts'
import { SequenceSampler } from './sampler.ts'
import { verifyTree } from './verify.ts'
import type { SeededRandom } from '@rubato/testing'

const TARGET = [0.4, 0.25, 0.15, 0.1, 0.06, 0.04]
const DRAFT = [0.1, 0.05, 0.45, 0.2, 0.15, 0.05]
const NUM_DRAWS = 40_000

function drawFrom(random: SeededRandom, weights: readonly number[]): number {
  let left = random.next() * weights.reduce((sum, weight) => sum + weight, 0)
  const index = weights.findIndex((weight) => (left -= weight) < 0)
  return index < 0 ? weights.length - 1 : index
}

/** Leviathan and Chen: accept with min(1, p/q), else draw from the residual (p - q)+. */
function acceptOrResidual(random: SeededRandom, drafted: number): number {
  if (random.next() < Math.min(1, TARGET[drafted]! / DRAFT[drafted]!)) return drafted
  return drawFrom(random, TARGET.map((p, id) => Math.max(0, p - DRAFT[id]!)))
}

function totalVariation(rule: (random: SeededRandom) => number): number {
  const random = seededRandom(2718)
  const counts = TARGET.map(() => 0)
  for (let i = 0; i < NUM_DRAWS; i++) counts[rule(random)]!++
  return counts.reduce((sum, count, id) => sum + Math.abs(count / NUM_DRAWS - TARGET[id]!), 0) / 2
}

void test('min(1, p/q) on one sampled draft is lossless: the harness can see a right rule', () => {
  assert.ok(totalVariation((random) => acceptOrResidual(random, drawFrom(random, DRAFT))) < 0.01)
})

void test('WRONG: min(1, p/q) on deterministic top-w children', () => {
  const distance = totalVariation((random) => {
    const children = [2, 3] // the draft's two most likely tokens, always
    for (const child of children) if (random.next() < Math.min(1, TARGET[child]! / DRAFT[child]!)) return child
    return drawFrom(random, TARGET.map((p, id) => Math.max(0, p - DRAFT[id]!)))
  })
  assert.ok(distance > 0.3, `total variation ${distance}`)
})

void test('WRONG: min(1, p/q) on a sampled draft that was pruned for its own low probability', () => {
  const distance = totalVariation((random) => {
    const drafted = drawFrom(random, DRAFT)
    return DRAFT[drafted]! < 0.2 ? drawFrom(random, TARGET) : acceptOrResidual(random, drafted)
  })
  assert.ok(distance > 0.05, `total variation ${distance}`)
})

/** The project's rule on the same target with the given children at the root. */
function ownRule(childrenOf: (sampler: SequenceSampler, row: Float32Array, position: number) => readonly number[]): { distance: number; accepted: number } {
  const shape = { vocabSize: TARGET.length, eosTokenIds: [] }
  const sampler = new SequenceSampler(plainParams({ seed: 99, maxTokens: 10 * NUM_DRAWS }), shape, 0, [], [])
  const target = Float32Array.from(TARGET, (p) => Math.log(p))
  const draft = Float32Array.from(DRAFT, (q) => Math.log(q))
  let accepted = 0
  let position = 0
  const distance = totalVariation(() => {
    const children = childrenOf(sampler, draft, position)
    const rows = new Float32Array((children.length + 1) * TARGET.length)
    for (let row = 0; row <= children.length; row++) rows.set(target, row * TARGET.length)
    const verified = verifyTree(sampler, { tokenIds: children, parents: children.map(() => -1) }, rows, position, 100 * NUM_DRAWS)
    position += verified.tokenIds.length
    accepted += verified.acceptedNodes.length
    return verified.tokenIds[0]!
  })
  return { distance, accepted: accepted / NUM_DRAWS }
}

void test('the target\'s own draw is lossless on deterministic children, and accepts with their target probability', () => {
  const { distance, accepted } = ownRule(() => [2, 3])
  assert.ok(distance < 0.01, `total variation ${distance}`)
  assert.ok(Math.abs(accepted - (TARGET[2]! + TARGET[3]!)) < 0.01, `accepted ${accepted}`)
})

void test('with shared noise the draft matches more often than its best guess does, and stays lossless when pruned', () => {
  const single = ownRule((sampler, draft, position) => [sampler.candidatesAt(draft, position, [], 1)[0]!.tokenId])
  const pair = ownRule((sampler, draft, position) => sampler.candidatesAt(draft, position, [], 2).map((candidate) => candidate.tokenId))
  const pruned = ownRule((sampler, draft, position) => sampler.candidatesAt(draft, position, [], 2).filter(({ tokenId }) => DRAFT[tokenId]! >= 0.2).map((candidate) => candidate.tokenId))
  for (const { distance } of [single, pair, pruned]) assert.ok(distance < 0.01, `total variation ${distance}`)
  assert.ok(single.accepted > TARGET[2]! + 0.1, `accepted ${single.accepted}`)
  assert.ok(pair.accepted > single.accepted + 0.1, `accepted ${pair.accepted}`)
})
