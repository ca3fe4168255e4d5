import assert from 'node:assert/strict'
import test from 'node:test'
import { seededRandom } from '@rubato/testing'
import { tokenLogprobs } from './logprobs.ts'
import { plainParams } from './reference/naive-sampler.ts'
import { weightAt } from './row/normaliser.ts'
import { SequenceSampler } from './sampler.ts'

void test('log-probabilities, ranks and the top list agree with a full sort', () => {
  const random = seededRandom(31)
  for (const vocabSize of [3, 300, 1024]) {
    for (const spread of [0.1, 3, 20]) {
      const row = Float32Array.from({ length: vocabSize }, () => random.normal() * spread)
      for (let i = 0; i + 7 < vocabSize; i += 7) row[i] = row[i + 1]! // ties
      const order = [...row.keys()].toSorted((a, b) => row[b]! - row[a]! || a - b)
      const max = row[order[0]!]!
      const logNormaliser = max + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - max), 0))
      for (let round = 0; round < 20; round++) {
        const tokenId = random.int(vocabSize)
        const numTop = random.int(21)
        const result = tokenLogprobs(row, tokenId, numTop)
        assert.equal(result.tokenId, tokenId)
        assert.ok(Math.abs(result.logprob - (row[tokenId]! - logNormaliser)) < 1e-9)
        assert.equal(result.rank, order.indexOf(tokenId) + 1)
        assert.deepEqual(result.top.map((entry) => entry.tokenId), order.slice(0, numTop))
        for (const entry of result.top) assert.ok(Math.abs(entry.logprob - (row[entry.tokenId]! - logNormaliser)) < 1e-9)
      }
    }
  }
})

void test('a worked example: logits ln 1, ln 2, ln 5 give probabilities 1/8, 2/8, 5/8', () => {
  const { logprob, rank, top } = tokenLogprobs(Float32Array.of(Math.log(1), Math.log(2), Math.log(5)), 1, 2)
  assert.ok(Math.abs(logprob - Math.log(2 / 8)) < 1e-6)
  assert.equal(rank, 2)
  assert.deepEqual(top.map((entry) => entry.tokenId), [2, 1])
})

void test('an impossible token has a finite log-probability', () => {
  const { logprob, rank, top } = tokenLogprobs(Float32Array.of(-Infinity, 0, 1), 0, 20)
  assert.equal(logprob, -9999)
  assert.equal(rank, 3)
  assert.deepEqual(top.map((entry) => entry.tokenId), [2, 1])
})

void test('the sampler reports the model\'s own distribution, whatever its processors did', () => {
  const row = Float32Array.of(3, 2, 1)
  const params = plainParams({ temperature: 0, logprobs: 3, logitBias: [[2, 50]] })
  const sampler = new SequenceSampler(params, { vocabSize: 3, eosTokenIds: [] }, 0, [], [])
  const { tokenId } = sampler.sample(row, 0)
  assert.equal(tokenId, 2)
  assert.deepEqual(sampler.logprobsOf(row, tokenId), tokenLogprobs(Float32Array.of(3, 2, 1), 2, 3))
  assert.equal(new SequenceSampler(plainParams(), { vocabSize: 3, eosTokenIds: [] }, 0, [], []).logprobsOf(row, 1), null)
})

void test('drawing and log-probabilities from one scan are those of two, whatever the processors did', () => {
  const random = seededRandom(32)
  const params = plainParams({ topP: 0.9, repetitionPenalty: 1.4, presencePenalty: 0.5, logitBias: [[7, 9], [8, -100]], logprobs: 5 })
  const sampler = new SequenceSampler(params, { vocabSize: 700, eosTokenIds: [] }, 0, [1, 2, 3], [4, 4, 5])
  for (let position = 0; position < 50; position++) {
    const row = Float32Array.from({ length: 700 }, () => random.normal() * 3)
    const drawn = sampler.sample(row, position)
    assert.deepEqual(sampler.sampleWithLogprobs(row, position), { ...drawn, logprobs: tokenLogprobs(row, drawn.tokenId, 5) })
  }
})

void test('the exponential from tables is within its stated error', () => {
  const random = seededRandom(33)
  for (let round = 0; round < 100_000; round++) {
    const distance = random.next() * 1280
    const exact = Math.exp(-distance / 32)
    assert.ok(Math.abs(weightAt(distance) - exact) <= 1.2e-10 * exact, `distance ${distance}`)
  }
  assert.deepEqual([weightAt(0), weightAt(1280), weightAt(1e9)], [1, 0, 0])
})
