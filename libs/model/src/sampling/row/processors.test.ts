import assert from 'node:assert/strict'
import test from 'node:test'
import { plainParams } from '../reference/naive-sampler.ts'
import { SequenceSampler } from '../sampler.ts'
import { RowEdits, addBias, penalise } from './row-edits.ts'
import { TokenHistory } from './token-history.ts'
import type { SamplingParams } from '../params.ts'

const SHAPE = { vocabSize: 6, eosTokenIds: [5] }

function greedy(changes: Partial<SamplingParams>, promptIds: readonly number[] = [], emittedIds: readonly number[] = []): SequenceSampler {
  return new SequenceSampler(plainParams({ temperature: 0, ...changes }), SHAPE, 0, promptIds, emittedIds)
}

function penalised(logits: readonly number[], promptIds: readonly number[], generatedIds: readonly number[], changes: Partial<SamplingParams>): number[] {
  const history = new TokenHistory()
  history.addPrompt(promptIds)
  for (const tokenId of generatedIds) history.push(tokenId)
  const row = Float32Array.from(logits)
  penalise(row, new RowEdits(), history, plainParams(changes))
  return [...row]
}

void test('repetition penalty divides positive and multiplies negative logits of prompt and generated tokens', () => {
  assert.deepEqual(penalised([2, -2, 2, -2, 0, 4], [0, 1], [5, 5], { repetitionPenalty: 2 }), [1, -4, 2, -2, 0, 2])
})

void test('frequency penalty counts, presence penalty asks once, and neither looks at the prompt', () => {
  assert.deepEqual(penalised([1, 1, 1, 1, 1, 1], [0, 1, 1], [1, 2, 2, 2], { frequencyPenalty: 0.5, presencePenalty: 0.25 }), [1, 0.25, -0.75, 1, 1, 1])
})

void test('repetition comes before frequency and presence', () => {
  assert.deepEqual(penalised([3, 3], [], [0, 0], { repetitionPenalty: 1.5, frequencyPenalty: 0.5, presencePenalty: 1 }), [0, 3])
})

void test('a popped token leaves no penalty behind', () => {
  const history = new TokenHistory()
  history.push(3)
  for (let i = 0; i < 200; i++) history.push(i)
  for (let i = 0; i < 200; i++) history.pop(i)
  const row = Float32Array.from({ length: 200 }, () => 1)
  penalise(row, new RowEdits(), history, plainParams({ presencePenalty: 1 }))
  assert.deepEqual([...row.keys()].filter((id) => row[id] !== 1), [3])
})

void test('edits of one token are taken back in reverse', () => {
  const row = Float32Array.of(1, 2, 3)
  const edits = new RowEdits()
  addBias(row, edits, [[1, 5], [1, 5], [0, -1]])
  assert.deepEqual([...row], [0, 12, 3])
  edits.undo(row)
  assert.deepEqual([...row], [1, 2, 3])
})

void test('penalties see the path of a draft tree, and only for that draw', () => {
  const sampler = greedy({ presencePenalty: 1 }, [], [0])
  const row = Float32Array.of(1.9, 1.5, 1.2, 1, 0.9, 0)
  assert.equal(sampler.sampleAt(row, 1, []).tokenId, 1)
  assert.equal(sampler.sampleAt(row, 2, [1]).tokenId, 2)
  assert.equal(sampler.sampleAt(row, 3, [1, 2]).tokenId, 3)
  assert.equal(sampler.sampleAt(row, 1, []).tokenId, 1)
  sampler.commit(1)
  assert.equal(sampler.sampleAt(row, 2, []).tokenId, 2)
})

void test('stop and end-of-sequence ids are masked until min_tokens were emitted, draft path included', () => {
  const row = Float32Array.of(1, 2, 3, 4, 5, 6)
  const sampler = greedy({ minTokens: 2, stopTokenIds: [4] })
  assert.equal(sampler.sampleAt(row, 0, []).tokenId, 3)
  assert.equal(sampler.sampleAt(row, 1, [3]).tokenId, 3)
  assert.equal(sampler.sampleAt(row, 2, [3, 3]).tokenId, 5)
  sampler.commit(3)
  assert.equal(sampler.sampleAt(row, 1, []).tokenId, 3)
  sampler.commit(3)
  assert.equal(sampler.sampleAt(row, 2, []).tokenId, 5)
})

void test('a mask outlasts a bias', () => {
  assert.equal(greedy({ minTokens: 1, logitBias: [[5, 100]] }).sample(Float32Array.of(0, 1, 0, 0, 0, 0), 0).tokenId, 1)
})

void test('with ignore_eos the end-of-sequence ids are ordinary tokens, below min_tokens too', () => {
  assert.equal(greedy({ minTokens: 3, ignoreEos: true }).sample(Float32Array.of(0, 1, 0, 0, 0, 9), 0).tokenId, 5)
})

void test('greedy ties go to the lowest id with margin 0; top_k 1 is greedy at any temperature', () => {
  const row = Float32Array.of(0, 3, 1, 3, 3, -1)
  assert.deepEqual(greedy({}).sample(row, 0), { tokenId: 1, margin: 0 })
  assert.deepEqual(greedy({ temperature: 2, topK: 1 }).sample(row, 0), { tokenId: 1, margin: 0 })
  assert.equal(greedy({}).sample(Float32Array.of(0, 3.5, 1, 3, 3, -1), 0).margin, 0.5)
})

void test('ties at the edge of top_k and top_p keep the lower ids', () => {
  const row = Float32Array.of(1, 1, 5, 1, 1, 1)
  const drawn = (changes: Partial<SamplingParams>): number[] => {
    const sampler = greedy({ temperature: 50, ...changes })
    return [...new Set(Array.from({ length: 400 }, (_, position) => sampler.sample(row, position).tokenId))].toSorted((a, b) => a - b)
  }
  assert.deepEqual(drawn({ topK: 3 }), [0, 1, 2])
  assert.deepEqual(drawn({ topP: 0.5 }), [0, 1, 2])
  assert.deepEqual(drawn({ topK: 4, topP: 0.7 }), [0, 1, 2])
  assert.deepEqual(drawn({ minP: 0.99 }), [2])
  assert.deepEqual(drawn({ topP: 1e-9 }), [2])
})
