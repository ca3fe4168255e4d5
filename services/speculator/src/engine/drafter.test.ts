// Draft commands on the bundled draft model: what is drafted is what the model drafts by itself, however tokens and batches came.
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { SamplingParams } from '@rubato/model'
import { openDraftModel } from '@rubato/model/drafter'
import type { DraftLimits } from '@rubato/model/drafter'
import { SequenceSampler } from '@rubato/model/sampling'
import { FRESH_CALIBRATION } from '@rubato/policy'
import { seededRandom, testSeed } from '@rubato/testing'
import type { DraftCommand, DraftOutcome, WantedDraft } from './draft-command.ts'
import { DraftEngine } from './draft-engine.ts'
import { Drafter } from './drafter.ts'

const MODEL = { modelDir: path.resolve(import.meta.dirname, '../../../../models/shakespeare-draft'), vocabSize: 1024, maxModelLen: 512, blockSize: 64, kvCacheBytes: 2 ** 22, intraOpThreads: 1 }
const SAMPLING: SamplingParams = {
  maxTokens: 100, minTokens: 0, temperature: 0.8, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [], seed: 5,
  stopTokenIds: [], ignoreEos: true, logprobs: null,
}
const NOTHING: DraftCommand = { forget: [], introduce: [], append: [], draft: [], prepare: [] }

const wanted = (key: number, shape: Partial<WantedDraft> = {}): WantedDraft => ({ key, maxDepth: 10, depth: 4, width: 2, calibration: FRESH_CALIBRATION, leastProbability: 0, ...shape })
const introduced = (key: number, tokenIds: readonly number[], sampling: SamplingParams = SAMPLING) => ({ key, introduction: { sequence: 1, promptTokens: 10, sampling }, eosTokenIds: [0], tokenIds })

async function openModel(t: TestContext) {
  const { model, close } = await openDraftModel(MODEL)
  t.after(close)
  return model
}

async function openDrafter(t: TestContext): Promise<Drafter> {
  return new Drafter({ model: await openModel(t), vocabSize: 1024, wallMs: () => performance.now(), cpuMs: () => 0 })
}

function prompt(seed: number, length: number): number[] {
  const random = seededRandom(seed)
  return Array.from({ length }, () => random.int(1000))
}

test('trees of a mixed batch are those that the model draws for each sequence alone, whenever its tokens came', async (t) => {
  const seed = testSeed(91)
  t.diagnostic(`seed ${seed}`)
  const [drafter, reference] = [await openDrafter(t), await openModel(t)]
  const shapes = [{}, { depth: 2, width: 1 }, { depth: 6, width: 3, leastProbability: 0.1 }, { maxDepth: 1 }]
  const sequences = shapes.map((_, key) => ({ tokens: prompt(seed + key, 12 + key), sampling: { ...SAMPLING, seed: key, temperature: key === 1 ? 0 : 0.8, repetitionPenalty: key === 2 ? 1.3 : 1 } }))
  await drafter.run({ ...NOTHING, introduce: sequences.map(({ tokens, sampling }, key) => introduced(key, tokens, sampling)), prepare: shapes.map((_, key) => ({ key, maxTokens: 64 })) })
  for (let round = 0; round < 4; round++) {
    const { outcomes } = await drafter.run({ ...NOTHING, draft: shapes.map((shape, key) => wanted(key, shape)) })
    for (const [key, { tokens, sampling }] of sequences.entries()) {
      const { maxDepth, ...limits } = wanted(key, shapes[key]!)
      const sampler = new SequenceSampler(sampling, { vocabSize: 1024, eosTokenIds: [0] }, 1, tokens.slice(0, 10), tokens.slice(10))
      const [alone] = await reference.propose([{ handle: 100 * round + key, tokens, sampler, maxDepth }], limits as DraftLimits)
      const { gaps, ...tree } = outcomes[key]!.tree!
      const { tokenIds, parents, ranks } = alone!
      assert.deepEqual(tree, { tokenIds, parents, ranks }, `seed ${seed}, round ${round}, sequence ${key}`)
      // Rows of another batch have other last bits.
      for (const [node, gap] of gaps.entries()) assert.ok(Math.abs(gap - alone!.gaps[node]!) < 1e-3)
    }
    const append = sequences.map(({ tokens }, key) => ({ key, tokenIds: [outcomes[key]!.tree!.tokenIds[0]!, ...prompt(round, key)].slice(0, 1 + key), tokens }))
    for (const { tokens, tokenIds } of append) tokens.push(...tokenIds)
    await drafter.run({ ...NOTHING, append: append.map(({ key, tokenIds }) => ({ key, tokenIds })) })
  }
})

test('what is far behind is not drafted for until it was prepared, in slices; what cannot be says so', async (t) => {
  const drafter = await openDrafter(t)
  const states = async (command: Partial<DraftCommand>): Promise<readonly DraftOutcome['state'][]> => (await drafter.run({ ...NOTHING, ...command })).outcomes.map(({ state }) => state)
  const introduce = [introduced(1, prompt(1, 150)), introduced(2, prompt(2, 12)), introduced(3, prompt(3, 600))]
  assert.deepEqual(await states({ introduce, prepare: [{ key: 2, maxTokens: 32 }] }), ['ready'])
  assert.deepEqual(await states({ draft: [wanted(1), wanted(2)] }), ['behind', 'ready'])
  const slices: DraftOutcome['state'][] = []
  while (slices.at(-1) !== 'ready') slices.push(...(await states({ prepare: [{ key: 1, maxTokens: 32 }] })))
  assert.ok(slices.length >= 4 && slices.length <= 6, slices.join())
  assert.deepEqual(await states({ draft: [wanted(1)] }), ['ready'])
  assert.deepEqual(await states({ prepare: [{ key: 3, maxTokens: 32 }] }), ['no_room'])
  await drafter.run({ ...NOTHING, forget: [1, 2, 3] })
  assert.equal(drafter.numSequences, 0)
})

test('a draft model whose thread dies is opened again, and knows nothing of before', async (t) => {
  const deaths: string[] = []
  const engine = await DraftEngine.open({ ...MODEL, onDeath: (error, isLast) => deaths.push(`${error.message.split('\n')[0]} ${isLast}`) })
  t.after(() => engine.close())
  const { outcomes } = await engine.run({ ...NOTHING, introduce: [introduced(1, prompt(1, 12))], prepare: [{ key: 1, maxTokens: 32 }], draft: [] })
  assert.equal(outcomes[0]?.state, 'ready')
  const [failing, waiting] = [engine.run({ ...NOTHING, draft: [wanted(2)] }), engine.run({ ...NOTHING, draft: [wanted(1)] })]
  for (const run of [failing, waiting]) await assert.rejects(run, { code: 'draft_engine_failed' })
  assert.equal((await engine.run({ ...NOTHING, introduce: [introduced(1, prompt(1, 12))], draft: [wanted(1)] })).outcomes.length, 1)
  assert.deepEqual([deaths.length, engine.restartsTotal, engine.isUp], [1, 1, true])
})

test('a checkpoint that cannot draft for the vocabulary is refused by name', async () => {
  await assert.rejects(DraftEngine.open({ ...MODEL, vocabSize: 1000 }), { code: 'invalid_argument', field: 'draft' })
})
