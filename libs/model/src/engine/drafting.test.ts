// Drafts of the engine itself: whom it drafts for, what verifying them changes (nothing), and what a failing draft model costs.
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { FRESH_CALIBRATION } from '@rubato/policy'
import { temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'
import { StepDrafting } from './drafting.ts'
import type { DraftingOptions } from './drafting.ts'
import { GREEDY, TinyEngine, spec, tinyOptions } from './fixtures/tiny-engine.ts'
import { openExecutor } from './open-executor.ts'
import { EngineSequence } from './sequence.ts'
import type { DraftWish, StepResult } from './step.ts'

const models = path.resolve(import.meta.dirname, '../../../../models')
const PROMPT = Array.from({ length: 40 }, (_, place) => 20 + ((place * 37) % 900))
const LIMITS = { depth: 4, width: 2, calibration: FRESH_CALIBRATION }

const openPair = (t: Parameters<typeof TinyEngine.open>[0] & { after: (fn: () => void) => void }): Promise<TinyEngine> =>
  TinyEngine.open(t, path.join(models, 'shakespeare-target'), { blockSize: 64, cellTokens: 128, kvCacheBytes: 2 ** 25, cacheDir: temporaryFolder(t), draft: path.join(models, 'shakespeare-draft') })

const wish = (...handles: readonly number[]): { readonly draft: DraftWish } => ({ draft: { handles, ...LIMITS } })
const drafted = ({ drafts }: StepResult): readonly number[] => drafts!.trees.map(({ handle }) => handle)

test('drafts come with the step, and verifying them emits what plain decoding does in fewer steps', async (t) => {
  const engine = await openPair(t)
  assert.equal(engine.shape.canDraft, true)
  for (const [place, temperature] of [0, 0.8].entries()) {
    const sampling = { ...GREEDY, temperature, seed: 7 }
    const [plain, speculating] = [2 * place + 1, 2 * place + 2]
    const emitted = [...(await engine.prefill(spec(plain, PROMPT, { sampling }), 80)).tokens[0]!.tokenIds]
    while (emitted.length < 40) emitted.push(...(await engine.decode(plain)).tokens[0]!.tokenIds)
    const blockIds = engine.takeBlocks(2)
    let result = await engine.step({ admit: [spec(speculating, PROMPT, { sampling })], appendBlocks: [{ handle: speculating, blockIds }], cells: engine.cells(speculating, PROMPT.length), ...wish(speculating) })
    const got = [...result.tokens[0]!.tokenIds]
    let steps = 0
    for (; got.length < 40; steps++) {
      const [draft] = result.drafts!.trees
      assert.equal(draft?.handle, speculating)
      result = await engine.step({ decodes: [{ handle: speculating, tree: draft!.tree, forced: false }], ...wish(speculating) })
      got.push(...result.tokens[0]!.tokenIds)
    }
    assert.deepEqual(got.slice(0, 40), emitted)
    assert.ok(steps < 25, `${steps} steps for 40 tokens`)
  }
})

test('no wish is no work; released, finished, unknown and unready sequences are passed over', async (t) => {
  const engine = await openPair(t)
  const first = await engine.prefill(spec(1, PROMPT), 20)
  assert.equal(first.drafts, undefined)
  await engine.prefill(spec(2, PROMPT, { sampling: { ...GREEDY, maxTokens: 2 } }), 20)
  await engine.prefill(spec(3, PROMPT), 20)
  const blockIds = engine.takeBlocks(1)
  const unready = { admit: [spec(4, PROMPT)], appendBlocks: [{ handle: 4, blockIds }] }
  const result = await engine.step({ ...unready, decodes: [1, 2].map((handle) => ({ handle, tree: null, forced: false })), release: [3], ...wish(1, 2, 3, 4, 99) })
  assert.deepEqual(drafted(result), [1])
  assert.deepEqual((await engine.step({ decodes: [{ handle: 1, tree: null, forced: false }] })).drafts, undefined)
})

test('a tree is never deeper than what its sequence may still emit, less one', async (t) => {
  const engine = await openPair(t)
  const blockIds = engine.takeBlocks(2)
  const result = await engine.step({ admit: [spec(1, PROMPT, { sampling: { ...GREEDY, maxTokens: 4 } })], appendBlocks: [{ handle: 1, blockIds }], cells: engine.cells(1, PROMPT.length), ...wish(1) })
  const { parents } = result.drafts!.trees[0]!.tree
  const depths = parents.reduce<number[]>((all, parent) => [...all, parent < 0 ? 1 : all[parent]! + 1], [])
  assert.equal(Math.max(...depths), 2)
})

test('an engine without a draft model ignores the wish', async (t) => {
  const engine = await TinyEngine.open(t, {})
  assert.equal(engine.shape.canDraft, false)
  const blockIds = engine.takeBlocks(8)
  const result = await engine.step({ admit: [spec(1, [1, 2, 3])], appendBlocks: [{ handle: 1, blockIds }], cells: engine.cells(1, 3), ...wish(1) })
  assert.equal(result.drafts, undefined)
  assert.equal(result.tokens.length, 1)
})

test('a draft model for another vocabulary is refused by name', async (t) => {
  const options = tinyOptions(writeTinyCheckpoint(temporaryFolder(t)), { draft: path.join(models, 'shakespeare-draft') })
  await assert.rejects(openExecutor(options, () => {}), { code: 'invalid_argument', field: 'draft' })
})

function readySequence(handle: number): EngineSequence {
  const sequence = new EngineSequence(spec(handle, [1, 2, 3]), { vocabSize: 8, eosTokenIds: [] })
  sequence.computedTokens = 2
  return sequence
}

test('a draft model that fails is dropped: the failure is told once, later steps have no drafts and ask it for nothing', async () => {
  let calls = 0
  const model: DraftingOptions['model'] = {
    propose: () => Promise.reject(new Error(`broken ${++calls}`)),
    forget: () => assert.fail('a dropped model is not spoken to'),
  }
  const drafting = new StepDrafting({ model, maxModelLen: 100, wallMs: () => 0, cpuMs: () => 0 })
  const sequence = readySequence(1)
  assert.equal((await drafting.draft(wish(1).draft, () => sequence)).problem, 'broken 1')
  assert.deepEqual(await drafting.draft(wish(1).draft, () => sequence), { trees: [], draftMs: 0, draftCpuMs: 0, problem: null })
  drafting.forget(1)
  assert.equal(calls, 1)
})
