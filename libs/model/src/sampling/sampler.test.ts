import assert from 'node:assert/strict'
import test from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { SOLE_CANDIDATE_MARGIN, SequenceSampler } from './sampler.ts'
import { naiveDistribution, naiveDraw, plainParams } from './reference/naive-sampler.ts'
import type { SeededRandom } from '@rubato/testing'
import type { SamplingParams } from './params.ts'

const EOS = [2]

function randomRow(random: SeededRandom, vocabSize: number, spread: number): Float32Array {
  return Float32Array.from({ length: vocabSize }, () => random.normal() * spread)
}

/** Any mix of processors and filters, each on about half of the time. */
function randomParams(random: SeededRandom, vocabSize: number): SamplingParams {
  const sometimes = <T>(on: () => T, off: T): T => (random.next() < 0.5 ? on() : off)
  return plainParams({
    temperature: random.pick([0, 2e-5, 0.05, 0.6, 1, 1, 1.7, 30]),
    topP: sometimes(() => random.pick([0.01, 0.3, 0.9, 0.999]), 1),
    topK: sometimes(() => 1 + random.int(random.pick([3, 30, vocabSize + 5])), 0),
    minP: sometimes(() => random.pick([0.001, 0.05, 0.5, 1]), 0),
    presencePenalty: sometimes(() => random.next() * 4 - 2, 0),
    frequencyPenalty: sometimes(() => random.next() * 4 - 2, 0),
    repetitionPenalty: sometimes(() => 0.5 + random.next(), 1),
    logitBias: sometimes(() => [[random.int(vocabSize), 5], [random.int(vocabSize), -100], [2, 4]], []),
    minTokens: sometimes(() => random.int(8), 0),
    stopTokenIds: sometimes(() => [random.int(vocabSize), random.int(vocabSize)], []),
    ignoreEos: random.next() < 0.5,
    seed: random.int(2 ** 31) * 2 ** 20 + random.int(2 ** 20),
  })
}

void test('pruned draws equal the full evaluation bit for bit, for every mix, and leave the row as it was', (t) => {
  const random = seededRandom(testSeed(20261))
  t.diagnostic(`seed ${random.seed}`)
  for (let round = 0; round < 2000; round++) {
    const vocabSize = random.pick([3, 17, 256, 257, 1024])
    const shape = { vocabSize, eosTokenIds: EOS }
    const params = randomParams(random, vocabSize)
    const tokens = (count: number): number[] => Array.from({ length: count }, () => random.int(vocabSize))
    const promptIds = tokens(random.int(20))
    const emittedIds = tokens(random.int(8))
    const path = tokens(random.int(4))
    const row = randomRow(random, vocabSize, random.pick([0.01, 1, 4, 12, 1000]))
    if (random.next() < 0.3) for (let i = 0; i < vocabSize; i++) row[i] = Math.round(row[i]!) + 0 // many ties
    if (random.next() < 0.2) for (let i = 3; i < vocabSize; i += 2) row[i] = -Infinity
    const before = row.slice()
    const sequence = random.int(4)
    const sampler = new SequenceSampler(params, shape, sequence, promptIds, emittedIds)
    const position = sampler.nextPosition + path.length
    const context = { params, eosTokenIds: EOS, sequence, promptIds, generatedIds: [...emittedIds, ...path] }
    if (vocabSize === 3 && params.minTokens > context.generatedIds.length) continue // may mask every token
    const drawn = sampler.sampleAt(row, position, path)
    const defined = naiveDraw(row, position, context)
    const bothWide = drawn.margin > 19 && defined.margin > 19
    assert.deepEqual(drawn, bothWide ? { ...defined, margin: drawn.margin } : defined, `round ${round}: ${JSON.stringify(params)}`)
    assert.deepEqual(row, before)
  }
})

void test('pruned draws equal the full evaluation on a large vocabulary', () => {
  const random = seededRandom(77)
  const vocabSize = 20_000
  const shape = { vocabSize, eosTokenIds: EOS }
  const mixes: Partial<SamplingParams>[] = [{}, { temperature: 0.5 }, { topP: 0.9 }, { topK: 40 }, { topK: 3000, topP: 0.95 }, { minP: 0.02, topP: 0.8 }, { temperature: 5, topP: 0.5 }]
  for (const [index, mix] of mixes.entries()) {
    const params = plainParams(mix)
    const sampler = new SequenceSampler(params, shape, 0, [], [])
    const context = { params, eosTokenIds: EOS, sequence: 0, promptIds: [], generatedIds: [] }
    for (let position = 0; position < 3; position++) {
      const row = randomRow(random, vocabSize, 1 + index)
      assert.deepEqual(sampler.sample(row, position), naiveDraw(row, position, context), JSON.stringify(mix))
    }
  }
})

void test('draws follow the brute-force distribution of every filter mix', () => {
  const random = seededRandom(5)
  const vocabSize = 8
  const numDraws = 8_000
  const row = randomRow(random, vocabSize, 1.5)
  const filters: Partial<SamplingParams>[] = [{}, { topK: 4 }, { topP: 0.7 }, { minP: 0.1 }, { topK: 5, topP: 0.8 }, { minP: 0.05, topP: 0.9 }, { minP: 0.02, topK: 6, topP: 0.95 }]
  const processors: Partial<SamplingParams>[] = [{}, { repetitionPenalty: 1.3, presencePenalty: 0.4, frequencyPenalty: 0.3, logitBias: [[4, 1.5]], minTokens: 10 }]
  for (const temperature of [0.6, 1.4]) {
    for (const filter of filters) {
      for (const processor of processors) {
        const params = plainParams({ temperature, ...filter, ...processor })
        const sampler = new SequenceSampler(params, { vocabSize, eosTokenIds: EOS }, 0, [1, 3, 3], [3, 5, 5])
        const counts = new Float64Array(vocabSize)
        for (let position = 0; position < numDraws; position++) counts[sampler.sample(row, position).tokenId]!++
        const expected = naiveDistribution(row, { params, eosTokenIds: EOS, sequence: 0, promptIds: [1, 3, 3], generatedIds: [3, 5, 5] })
        const distance = counts.reduce((sum, count, id) => sum + Math.abs(count / numDraws - expected[id]!), 0) / 2
        assert.ok(distance < 0.025, `total variation ${distance} for ${JSON.stringify(params)}`)
        assert.ok(counts.every((count, id) => count === 0 || expected[id]! > 0), 'a filtered token was drawn')
      }
    }
  }
})

void test('the same seed, sequence and position give the same token, and any change gives other noise', () => {
  const row = randomRow(seededRandom(8), 64, 0.1)
  const shape = { vocabSize: 64, eosTokenIds: EOS }
  const draw = (seed: number, sequence: number): number[] => {
    const sampler = new SequenceSampler(plainParams({ seed }), shape, sequence, [], [])
    return Array.from({ length: 40 }, (_, position) => sampler.sample(row, position).tokenId)
  }
  assert.deepEqual(draw(3, 0), draw(3, 0))
  assert.notDeepEqual(draw(3, 0), draw(3, 1))
  assert.notDeepEqual(draw(3, 0), draw(4, 0))
  assert.notDeepEqual(draw(3, 0), draw(3 + 2 ** 40, 0))
})

void test('drafts are offered the tokens that the draw would take, best first', () => {
  const random = seededRandom(9)
  const params = plainParams({ topP: 0.9, frequencyPenalty: 0.5 })
  const sampler = new SequenceSampler(params, { vocabSize: 300, eosTokenIds: EOS }, 0, [1], [5, 6])
  for (let position = 0; position < 50; position++) {
    const row = randomRow(random, 300, 2)
    const { tokenId, margin } = sampler.sampleAt(row, position, [7])
    const candidates = sampler.candidatesAt(row, position, [7], 4)
    assert.equal(candidates[0]!.tokenId, tokenId)
    assert.equal(candidates[0]!.score - candidates[1]!.score, margin)
    assert.ok(candidates.every((candidate, i) => i === 0 || candidate.score <= candidates[i - 1]!.score))
    assert.equal(new Set(candidates.map((candidate) => candidate.tokenId)).size, 4)
  }
})

void test('a sole candidate has the stated finite margin, and a row without a finite logit is refused', () => {
  const shape = { vocabSize: 4, eosTokenIds: EOS }
  const sampler = new SequenceSampler(plainParams(), shape, 0, [], [])
  assert.deepEqual(sampler.sample(Float32Array.of(-Infinity, 0.5, -Infinity, NaN), 0), { tokenId: 1, margin: SOLE_CANDIDATE_MARGIN })
  assert.throws(() => sampler.sample(new Float32Array(4).fill(-Infinity), 0), { code: 'no_token_allowed' })
  assert.throws(() => sampler.sample(new Float32Array(4).fill(NaN), 0), { code: 'no_token_allowed' })
  assert.throws(() => sampler.sample(new Float32Array(8), 0), { code: 'row_width' })
})

void test('a failed draw leaves the row and the sampler usable', () => {
  const params = plainParams({ minTokens: 5, stopTokenIds: [0, 1], frequencyPenalty: 1 })
  const sampler = new SequenceSampler(params, { vocabSize: 3, eosTokenIds: EOS }, 0, [], [])
  const row = Float32Array.of(1, 2, 3)
  assert.throws(() => sampler.sample(row, 0), { code: 'no_token_allowed' })
  assert.deepEqual(row, Float32Array.of(1, 2, 3))
  for (let i = 0; i < 5; i++) sampler.commit(0)
  assert.ok(sampler.sample(row, 5).tokenId >= 0)
})
