import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { FRESH_CALIBRATION } from '@rubato/policy'
import { seededRandom, temporaryFolder, testSeed, writeTinyCheckpoint } from '@rubato/testing'
import { TinyEngine, GREEDY } from '../engine/fixtures/tiny-engine.ts'
import type { TokenTree } from '../engine/step.ts'
import { SequenceSampler } from '../sampling/index.ts'
import type { SamplingParams } from '../sampling/params.ts'
import type { DraftModel } from './draft-model.ts'
import { openDraftModel } from './open-draft-model.ts'

const models = path.resolve(import.meta.dirname, '../../../../models')
const PROMPT = Array.from({ length: 150 }, (_, place) => 20 + ((place * 37) % 900))
const LIMITS = { depth: 4, width: 2, calibration: FRESH_CALIBRATION }

async function openDraft(t: TestContext, kvCacheBytes = 2 ** 21): Promise<DraftModel> {
  const { model, close } = await openDraftModel({ modelDir: path.join(models, 'shakespeare-draft'), vocabSize: 1024, maxModelLen: 512, blockSize: 64, kvCacheBytes, intraOpThreads: 1 })
  t.after(close)
  return model
}

function openTarget(t: TestContext): Promise<TinyEngine> {
  return TinyEngine.open(t, path.join(models, 'shakespeare-target'), { blockSize: 64, cellTokens: 128, kvCacheBytes: 2 ** 26, cacheDir: temporaryFolder(t) })
}

function paramsOf(index: number): SamplingParams {
  return { ...GREEDY, temperature: index % 2 === 0 ? 0 : 0.8, seed: 40 + index, repetitionPenalty: index === 3 ? 1.2 : 1 }
}

interface Drafted {
  readonly tokens: number[]
  steps: number
  drafted: number
}

/** Decodes `count` tokens with the draft's trees; every tree is verified whole. */
async function decode(engine: TinyEngine, draft: DraftModel | null, handle: number, params: SamplingParams, count: number): Promise<Drafted> {
  const first = await engine.step({
    admit: [{ handle, sequence: 0, promptIds: PROMPT, emittedIds: [], sampling: params }], appendBlocks: [{ handle, blockIds: engine.takeBlocks(8) }],
    cells: [{ handle, start: 0, count: 128, sampleHandles: [] }, { handle, start: 128, count: 22, sampleHandles: [handle] }],
  })
  const out: Drafted = { tokens: [...first.tokens[0]!.tokenIds], steps: 0, drafted: 0 }
  const sampler = new SequenceSampler(params, { vocabSize: 1024, eosTokenIds: [] }, 0, PROMPT, out.tokens)
  while (out.tokens.length < count) {
    let tree: TokenTree | null = null
    if (draft !== null) {
      const [proposed] = await draft.propose([{ handle, tokens: [...PROMPT, ...out.tokens], sampler, maxDepth: count }], LIMITS)
      draft.assertIntegrity()
      assert.ok(proposed!.pathProbability.every((p, node) => node === 0 || p <= proposed!.pathProbability[node - 1]!))
      assert.ok(proposed!.parents.every((parent, node) => parent < node))
      tree = { tokenIds: proposed!.tokenIds, parents: proposed!.parents }
      out.drafted += tree.tokenIds.length
    }
    const { tokens } = await engine.step({ decodes: [{ handle, tree, forced: false }] })
    for (const tokenId of tokens[0]!.tokenIds) {
      out.tokens.push(tokenId)
      sampler.commit(tokenId)
    }
    out.steps += 1
  }
  await engine.step({ release: [handle] })
  return { ...out, tokens: out.tokens.slice(0, count) }
}

test('drafted trees are accepted often, and never change a token', async (t) => {
  const engine = await openTarget(t)
  const draft = await openDraft(t)
  for (const index of [0, 1, 2, 3]) {
    const plain = await decode(engine, null, index, paramsOf(index), 80)
    const drafted = await decode(engine, draft, 100 + index, paramsOf(index), 80)
    assert.deepEqual(drafted.tokens, plain.tokens)
    t.diagnostic(`request ${index}: ${(80 / drafted.steps).toFixed(2)} tokens per step, ${(drafted.drafted / drafted.steps).toFixed(1)} nodes`)
    assert.ok(80 / drafted.steps > 1.3, `only ${80 / drafted.steps} tokens per step`)
  }
})

test('a batch proposes what each sequence alone would get, and a cache that ran out is computed again', async (t) => {
  const seed = testSeed(81)
  const random = seededRandom(seed)
  // Room for two sequences of 512 tokens at a time: with four the older two lose theirs again and again.
  const small = await openDraft(t, 18 * 64 * 1024)
  const large = await openDraft(t)
  const sequences = Array.from({ length: 4 }, (_, index) => ({ handle: index, tokens: Array.from({ length: 100 + 90 * index }, () => random.int(1000)), params: paramsOf(index) }))
  for (let round = 0; round < 4; round++) {
    const requests = sequences.map(({ handle, tokens, params }) => ({ handle, tokens, sampler: new SequenceSampler(params, { vocabSize: 1024, eosTokenIds: [] }, 0, tokens, []), maxDepth: 10 }))
    const together = await large.propose(requests, LIMITS)
    for (const [index, request] of requests.entries()) {
      const [alone] = await small.propose([request], LIMITS)
      small.assertIntegrity()
      assert.deepEqual(alone!.tokenIds, together[index]!.tokenIds, `seed ${seed}`)
      assert.deepEqual(alone!.parents, together[index]!.parents, `seed ${seed}`)
    }
    for (const sequence of sequences) for (let added = 0; added < 1 + 4 * round; added++) sequence.tokens.push(random.int(1000))
  }
  for (const { handle } of sequences) large.forget(handle)
  large.assertIntegrity()
})

test('a tree is no deeper than what may still be emitted', async (t) => {
  const draft = await openDraft(t)
  const sampler = new SequenceSampler(GREEDY, { vocabSize: 1024, eosTokenIds: [] }, 0, PROMPT, [])
  for (const maxDepth of [0, 1, 3]) {
    const [tree] = await draft.propose([{ handle: 1, tokens: PROMPT, sampler, maxDepth }], { ...LIMITS, width: 1 })
    assert.equal(tree!.tokenIds.length, maxDepth)
  }
})

test('a head size that the kernels do not take is drafted for all the same', async (t) => {
  const modelDir = writeTinyCheckpoint(temporaryFolder(t), { headDim: 14 })
  const { model, close } = await openDraftModel({ modelDir, vocabSize: 160, maxModelLen: 64, blockSize: 8, kvCacheBytes: 2 ** 16, intraOpThreads: 1 })
  t.after(close)
  const tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]
  const sampler = new SequenceSampler(GREEDY, { vocabSize: 160, eosTokenIds: [] }, 0, tokens, [])
  const [tree] = await model.propose([{ handle: 1, tokens, sampler, maxDepth: 10 }], LIMITS)
  assert.equal(tree!.tokenIds.length, 8)
})

test('a sequence longer than the draft can follow has no tree, and one at its end has', async (t) => {
  const draft = await openDraft(t)
  for (const [length, nodes] of [[512, 8], [513, 0]] as const) {
    const tokens = Array.from({ length }, (_, place) => place)
    const sampler = new SequenceSampler(GREEDY, { vocabSize: 1024, eosTokenIds: [] }, 0, tokens, [])
    const [tree] = await draft.propose([{ handle: 1, tokens, sampler, maxDepth: 10 }], LIMITS)
    assert.equal(tree!.tokenIds.length, nodes)
    draft.assertIntegrity()
  }
})

test('a draft of another vocabulary is refused', async () => {
  const options = { modelDir: path.join(models, 'shakespeare-draft'), vocabSize: 32_000, maxModelLen: 512, blockSize: 64, kvCacheBytes: 2 ** 20, intraOpThreads: 1 }
  await assert.rejects(openDraftModel(options), { field: 'draft' })
})
