import assert from 'node:assert/strict'
import test from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { naiveDistribution, plainParams } from './reference/naive-sampler.ts'
import { SequenceSampler } from './sampler.ts'
import { verifyTree } from './verify.ts'
import type { SeededRandom } from '@rubato/testing'
import type { TokenTree } from '../engine/step.ts'
import type { SamplingParams } from './params.ts'

const VOCAB = 24
const EOS = [2]
const SHAPE = { vocabSize: VOCAB, eosTokenIds: EOS }
const NO_LIMIT = 1_000_000

/** A toy language model: logits are a function of the last two tokens. */
function toyRow(tokens: readonly number[], spread: number): Float32Array {
  const random = seededRandom((tokens.at(-1) ?? 0) * 7919 + (tokens.at(-2) ?? 0) * 104729 + 13)
  return Float32Array.from({ length: VOCAB }, () => random.normal() * spread)
}

function pathTo(tree: TokenTree, node: number): number[] {
  const path: number[] = []
  for (let at = node; at >= 0; at = tree.parents[at]!) path.unshift(tree.tokenIds[at]!)
  return path
}

function rowsOf(tree: TokenTree, history: readonly number[], spread: number): Float32Array {
  const rows = new Float32Array((tree.tokenIds.length + 1) * VOCAB)
  rows.set(toyRow(history, spread))
  for (let node = 0; node < tree.tokenIds.length; node++) rows.set(toyRow([...history, ...pathTo(tree, node)], spread), (node + 1) * VOCAB)
  return rows
}

/** Any tree: random shape and tokens, duplicate siblings included. */
function randomTree(random: SeededRandom, vocabSize = VOCAB): TokenTree {
  const parents: number[] = []
  const numNodes = random.int(9)
  for (let node = 0; node < numNodes; node++) parents.push(random.int(node + 1) - 1)
  return { parents, tokenIds: parents.map(() => random.int(vocabSize)) }
}

/** A tree a drafter with sight of the noise would propose: the best candidates at each node of a noisy copy of the model. */
function drafterTree(sampler: SequenceSampler, history: readonly number[], spread: number): TokenTree {
  const tokenIds: number[] = []
  const parents: number[] = []
  for (let node = -1; node < 6 && node < tokenIds.length; node++) {
    const path = pathTo({ tokenIds, parents }, node)
    const row = toyRow([...history, ...path], spread)
    for (const { tokenId } of sampler.candidatesAt(row, sampler.nextPosition + path.length, path, 2)) {
      tokenIds.push(tokenId)
      parents.push(node)
    }
  }
  return { tokenIds, parents }
}

function generate(params: SamplingParams, promptIds: readonly number[], treeOf: (sampler: SequenceSampler, history: readonly number[]) => TokenTree | null): { tokens: number[]; steps: number } {
  const sampler = new SequenceSampler(params, SHAPE, 1, promptIds, [])
  const tokens: number[] = []
  for (let steps = 1; ; steps++) {
    const history = [...promptIds, ...tokens]
    const tree = treeOf(sampler, history)
    const rows = rowsOf(tree ?? { tokenIds: [], parents: [] }, history, 2)
    const verified = verifyTree(sampler, tree, rows, history.length, NO_LIMIT)
    assert.equal(verified.tokenIds.length, verified.acceptedNodes.length + 1)
    tokens.push(...verified.tokenIds)
    if (verified.finish !== null) return { tokens, steps }
  }
}

const EVERYTHING: Partial<SamplingParams> = {
  temperature: 0.9, topP: 0.95, topK: 12, minP: 0.01, presencePenalty: 0.3, frequencyPenalty: 0.2, repetitionPenalty: 1.2, logitBias: [[4, 1], [9, -3]], minTokens: 6, stopTokenIds: [11],
}

void test('any speculation gives the tokens of plain decoding, with all processors on', (t) => {
  const random = seededRandom(testSeed(404))
  t.diagnostic(`seed ${random.seed}`)
  let fewerSteps = 0
  for (let round = 0; round < 60; round++) {
    const mix = random.pick([EVERYTHING, { ...EVERYTHING, temperature: 0 }, { temperature: 1.5 }, { ...EVERYTHING, ignoreEos: true, logprobs: 2 }])
    const params = plainParams({ ...mix, maxTokens: 30, seed: random.int(2 ** 31) })
    const promptIds = [random.int(VOCAB), random.int(VOCAB)]
    const plain = generate(params, promptIds, () => null)
    const speculated = generate(params, promptIds, () => randomTree(random))
    const drafted = generate(params, promptIds, (sampler, history) => drafterTree(sampler, history, 2))
    assert.deepEqual(speculated.tokens, plain.tokens)
    assert.deepEqual(drafted.tokens, plain.tokens)
    if (drafted.steps < plain.steps) fewerSteps++
  }
  assert.ok(fewerSteps > 50, `a perfect drafter saved steps in ${fewerSteps} of 60 rounds`)
})

void test('tokens of verified trees follow the target distribution at several temperatures, however the tree was chosen', () => {
  const vocabSize = 5
  const shape = { vocabSize, eosTokenIds: [] }
  const numRounds = 8_000
  const rowAfter = (tokens: readonly number[]): Float32Array => {
    const random = seededRandom(tokens.reduce((hash, token) => hash * 31 + token + 1, 5))
    return Float32Array.from({ length: vocabSize }, () => random.normal() * 1.2)
  }
  for (const temperature of [0.6, 1, 1.5]) {
    const random = seededRandom(17)
    const counts = new Float64Array(vocabSize ** 2)
    const params = plainParams({ temperature, frequencyPenalty: 0.7, topP: 0.97 })
    for (let round = 0; round < numRounds; round++) {
      const sampler = new SequenceSampler({ ...params, seed: round }, shape, 0, [], [])
      const emitted: number[] = []
      while (emitted.length < 2) {
        const guess = round % 2 === 0 ? sampler.sample(rowAfter(emitted), emitted.length).tokenId : random.int(vocabSize) // half of the trees saw the noise
        const tree = { tokenIds: [random.int(vocabSize), guess, random.int(vocabSize)], parents: [-1, -1, 1] }
        const rows = [[], [0], [1], [2]].flatMap(([node]) => [...rowAfter([...emitted, ...(node === undefined ? [] : pathTo(tree, node))])])
        emitted.push(...verifyTree(sampler, tree, Float32Array.from(rows), emitted.length, NO_LIMIT).tokenIds)
      }
      counts[emitted[0]! * vocabSize + emitted[1]!]!++
    }
    const distributionAfter = (generatedIds: number[]): Float64Array => naiveDistribution(rowAfter(generatedIds), { params, eosTokenIds: [], sequence: 0, promptIds: [], generatedIds })
    const first = distributionAfter([])
    let distance = 0
    for (let a = 0; a < vocabSize; a++) {
      const second = distributionAfter([a])
      for (let b = 0; b < vocabSize; b++) distance += Math.abs(counts[a * vocabSize + b]! / numRounds - first[a]! * second[b]!) / 2
    }
    assert.ok(distance < 0.035, `temperature ${temperature}: total variation ${distance}`)
  }
})

void test('among duplicate siblings the first one is followed', () => {
  const sampler = new SequenceSampler(plainParams({ temperature: 0 }), { vocabSize: 3, eosTokenIds: [] }, 0, [], [])
  const tree = { tokenIds: [1, 1, 2, 2], parents: [-1, -1, 1, 0] }
  const rows = Float32Array.of(0, 9, 0, /* node 0 */ 0, 0, 9, /* node 1 */ 9, 0, 0, /* node 2 */ 0, 9, 0, /* node 3 */ 9, 0, 0)
  const verified = verifyTree(sampler, tree, rows, 0, NO_LIMIT)
  assert.deepEqual(verified.tokenIds, [1, 2, 0])
  assert.deepEqual(verified.acceptedNodes, [0, 3])
  assert.deepEqual(verified.margins, [9, 9, 9])
})

void test('nothing is drawn past a stop id, max_tokens or the context limit inside an accepted path', () => {
  const tree = { tokenIds: [0, 1, 2], parents: [-1, 0, 1] }
  const rows = Float32Array.of(9, 0, 0, 0, 0, 9, 0, 0, 0, 0, 9, 0, 9, 0, 0, 0)
  const run = (changes: Partial<SamplingParams>, maxModelLen = NO_LIMIT) => {
    const sampler = new SequenceSampler(plainParams({ temperature: 0, logprobs: 0, ...changes }), { vocabSize: 4, eosTokenIds: [1] }, 0, [3, 3], [])
    const verified = verifyTree(sampler, tree, rows, 2, maxModelLen)
    assert.equal(verified.logprobs?.length, verified.tokenIds.length)
    assert.equal(sampler.emittedTokens, verified.tokenIds.length)
    return { tokenIds: verified.tokenIds, acceptedNodes: verified.acceptedNodes, finish: verified.finish }
  }
  assert.deepEqual(run({}), { tokenIds: [0, 1], acceptedNodes: [0], finish: { kind: 'stop', stopTokenId: 1 } })
  assert.deepEqual(run({ ignoreEos: true }), { tokenIds: [0, 1, 2, 0], acceptedNodes: [0, 1, 2], finish: null })
  assert.deepEqual(run({ ignoreEos: true, stopTokenIds: [2] }), { tokenIds: [0, 1, 2], acceptedNodes: [0, 1], finish: { kind: 'stop', stopTokenId: 2 } })
  assert.deepEqual(run({ ignoreEos: true, maxTokens: 3 }), { tokenIds: [0, 1, 2], acceptedNodes: [0, 1], finish: { kind: 'length' } })
  assert.deepEqual(run({ ignoreEos: true }, 4), { tokenIds: [0, 1], acceptedNodes: [0], finish: { kind: 'length' } })
  assert.deepEqual(run({ stopTokenIds: [0] }), { tokenIds: [0], acceptedNodes: [], finish: { kind: 'stop', stopTokenId: 0 } })
})
