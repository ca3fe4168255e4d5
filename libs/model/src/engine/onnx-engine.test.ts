import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'
import { TinyEngine, outcome, spec, tinyOptions } from './fixtures/tiny-engine.ts'
import { OnnxEngine } from './onnx-engine.ts'
import type { EngineOptions } from './options.ts'
import type { Engine, StepCommand, StepResult } from './step.ts'

const TARGET_MODEL = path.resolve(import.meta.dirname, '../../../../models/shakespeare-target')
const RECORDED = JSON.parse(readFileSync(path.join(TARGET_MODEL, 'reference.json'), 'utf8')) as Readonly<Record<'prompt_ids' | 'greedy_ids', readonly number[]>>

async function open(t: TestContext, modelDir: string, options: Partial<EngineOptions> = {}): Promise<OnnxEngine> {
  const engine = await OnnxEngine.open(tinyOptions(modelDir, options))
  t.after(() => engine.close())
  return engine
}

function openTiny(t: TestContext): Promise<OnnxEngine> {
  return open(t, writeTinyCheckpoint(temporaryFolder(t)))
}

async function step(engine: Engine, command: Partial<StepCommand>): Promise<StepResult> {
  const empty = { admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [] }
  const result = await engine.execute({ kind: 'step', stepId: 1, ...empty, ...command })
  assert.ok(result.kind === 'step')
  return result
}

const FAILING: Partial<StepCommand> = { decodes: [{ handle: 99, tree: null, forced: false }] }

test('the thread generates the recorded greedy continuation of the bundled model', async (t) => {
  const engine = await open(t, TARGET_MODEL, { blockSize: 64, cellTokens: 128, kvCacheBytes: 2 ** 24, cacheDir: temporaryFolder(t) })
  const { prompt_ids: promptIds, greedy_ids: expected } = RECORDED
  const cells = [{ handle: 1, start: 0, count: promptIds.length, sampleHandles: [1] }]
  const first = await step(engine, { admit: [spec(1, promptIds)], appendBlocks: [{ handle: 1, blockIds: [0, 1] }], cells })
  const tokenIds = [...first.tokens[0]!.tokenIds]
  while (tokenIds.length < expected.length) tokenIds.push(...(await step(engine, { decodes: [{ handle: 1, tree: null, forced: false }] })).tokens[0]!.tokenIds)
  assert.deepEqual(tokenIds, expected)
  assert.ok(first.runMs > 0 && first.stepMs >= first.runMs && first.cpuMs > 0)
  assert.equal(first.logits, undefined)
})

test('commands run in the order given, and blocks travel between engines', async (t) => {
  const [source, target] = [await openTiny(t), await openTiny(t)]
  const promptIds = Array.from({ length: 20 }, (_, place) => place)
  const admit = { admit: [spec(1, promptIds)], appendBlocks: [{ handle: 1, blockIds: [3, 4, 5] }], returnLogits: true }
  const decode = { decodes: [{ handle: 1, tree: null, forced: false }], returnLogits: true }
  const cells = [{ handle: 1, start: 0, count: 16, sampleHandles: [] }, { handle: 1, start: 16, count: 4, sampleHandles: [1] }]
  const results = await Promise.all([step(source, { ...admit, cells }), source.execute({ kind: 'export-blocks', blockIds: [3, 4, 5] }), step(source, decode)])
  const [prefilled, exported, expected] = results
  assert.ok(exported.kind === 'export-blocks')
  await target.execute({ kind: 'install-blocks', blockIds: [9, 1, 30], bytes: exported.bytes })
  const { tokenIds } = outcome(prefilled, 1)
  const resumed = await step(target, { ...decode, admit: [spec(1, promptIds, { emittedIds: tokenIds })], appendBlocks: [{ handle: 1, blockIds: [9, 1, 30] }] })
  assert.deepEqual(outcome(resumed, 1), outcome(expected, 1))
})

test('a failed command ends the engine and everything behind it', async (t) => {
  const engine = await openTiny(t)
  const failing = step(engine, FAILING)
  const behind = step(engine, {})
  await assert.rejects(failing, { code: 'engine_failed', message: /sequence 99 is not admitted/ })
  await assert.rejects(behind, { code: 'engine_failed' })
  await assert.rejects(step(engine, {}), { code: 'engine_failed' })
  assert.match((await engine.closed)?.message ?? '', /sequence 99 is not admitted/)
  await engine.close()
})

test('a killed engine rejects what is pending and what comes later', async (t) => {
  const engine = await openTiny(t)
  await step(engine, {})
  engine.kill()
  const pending = step(engine, {})
  await assert.rejects(pending, { code: 'engine_failed', retryable: true })
  await assert.rejects(step(engine, {}), { code: 'engine_failed' })
  assert.ok((await engine.closed) instanceof Error)
})

test('a closed engine finishes what it was given, then takes nothing more', async (t) => {
  const engine = await openTiny(t)
  const promptIds = [1, 2, 3]
  const last = step(engine, { admit: [spec(1, promptIds)], appendBlocks: [{ handle: 1, blockIds: [0] }], cells: [{ handle: 1, start: 0, count: 3, sampleHandles: [1] }] })
  const closing = [engine.close(), engine.close()]
  await assert.rejects(step(engine, {}), { code: 'engine_failed' })
  assert.equal((await last).tokens.length, 1)
  await Promise.all(closing)
  assert.equal(await engine.closed, null)
})

test('what cannot be served is refused by name', async (t) => {
  const refused = writeTinyCheckpoint(temporaryFolder(t), { configOverrides: { hidden_act: 'gelu' } })
  await assert.rejects(OnnxEngine.open(tinyOptions(refused)), { code: 'checkpoint', field: 'hidden_act', message: /config\.json: hidden_act: is "gelu"; supported is silu/ })
  const fine = writeTinyCheckpoint(temporaryFolder(t))
  await assert.rejects(OnnxEngine.open(tinyOptions(fine, { maxModelLen: 5000 })), { field: 'max-model-len', message: /4096/ })
  await assert.rejects(OnnxEngine.open(tinyOptions(fine, { kvCacheBytes: 1000 })), { field: 'kv-cache-memory-bytes' })
  await assert.rejects(OnnxEngine.open(tinyOptions(fine, { blockSize: 12 })), { field: 'block-size' })
  await assert.rejects(OnnxEngine.open(tinyOptions(fine, { cellTokens: 20 })), { field: 'prefill-cell-tokens' })
})

test('weights behind links, as in a Hugging Face cache, are found', async (t) => {
  const root = temporaryFolder(t)
  writeTinyCheckpoint(path.join(root, 'blobs'), { sharded: true })
  mkdirSync(path.join(root, 'snapshot'))
  for (const name of readdirSync(path.join(root, 'blobs'))) symlinkSync(path.join('../blobs', name), path.join(root, 'snapshot', name))
  cpSync(path.join(root, 'blobs'), path.join(root, 'plain'), { recursive: true })
  const rows: Float32Array[] = []
  for (const folder of ['snapshot', 'plain']) {
    const engine = await TinyEngine.open(t, path.join(root, folder), { cacheDir: path.join(root, 'cache') })
    rows.push(outcome(await engine.prefill(spec(1, [1, 2, 3]), 1), 1).rows)
  }
  assert.deepEqual(rows[0], rows[1])
})

function onlyFolder(dir: string): string {
  const [name, ...others] = readdirSync(dir)
  assert.ok(name !== undefined && others.length === 0, `one folder in ${dir}`)
  return path.join(dir, name)
}

test('int8 weights are written once per content and built again when they are damaged', async (t) => {
  const cacheDir = temporaryFolder(t)
  const dir = writeTinyCheckpoint(temporaryFolder(t), { architecture: 'Qwen2ForCausalLM', dtype: 'bfloat16' })
  const copy = writeTinyCheckpoint(temporaryFolder(t), { architecture: 'Qwen2ForCausalLM', dtype: 'bfloat16' })
  const rows = async (modelDir: string): Promise<Float32Array> => {
    const engine = await TinyEngine.open(t, modelDir, { dtype: 'int8', cacheDir })
    return outcome(await engine.prefill(spec(1, [5, 6, 7]), 1), 1).rows
  }
  const expected = await rows(dir)
  const data = path.join(onlyFolder(path.join(cacheDir, 'int8')), 'weights.bin')
  const manifest = path.join(path.dirname(data), 'manifest.json')
  const written = statSync(data)
  assert.deepEqual(await rows(copy), expected)
  assert.equal(statSync(data).ino, written.ino, 'used again')
  for (const damage of [() => truncateSync(data, written.size - 1), () => truncateSync(manifest, 10), () => writeFileSync(manifest, '{"format":0,"tensors":{}}')]) {
    damage()
    assert.deepEqual(await rows(dir), expected)
    assert.equal(statSync(data).size, written.size)
    onlyFolder(path.join(cacheDir, 'int8'))
  }
})

test('int8 logits stay within 0.15 of the standard deviation of float32 logits', async (t) => {
  const cacheDir = temporaryFolder(t)
  const { prompt_ids: promptIds, greedy_ids: greedyIds } = RECORDED
  // The recorded tokens as a draft chain: every token of it gets its row, whatever the engine itself would emit.
  const tree = { tokenIds: greedyIds.slice(1), parents: greedyIds.slice(1).map((_, node) => node - 1) }
  const rows: Float32Array[] = []
  for (const dtype of ['float32', 'int8'] as const) {
    const engine = await TinyEngine.open(t, TARGET_MODEL, { dtype, blockSize: 64, cellTokens: 128, kvCacheBytes: 2 ** 24, cacheDir })
    const admitted = { admit: [spec(1, promptIds, { emittedIds: greedyIds.slice(0, 1) })], appendBlocks: [{ handle: 1, blockIds: engine.takeBlocks(1) }] }
    await engine.step({ ...admitted, cells: engine.cells(1, promptIds.length, 0, []) })
    rows.push(outcome(await engine.verify(1, tree), 1).rows)
  }
  const [exact, quantised] = rows as [Float32Array, Float32Array]
  const vocabSize = exact.length / greedyIds.length
  for (const place of greedyIds.keys()) {
    const row = exact.subarray(place * vocabSize, (place + 1) * vocabSize)
    const mean = row.reduce((sum, value) => sum + value, 0) / vocabSize
    const deviation = Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / vocabSize)
    const error = row.reduce((most, value, id) => Math.max(most, Math.abs(value - quantised[place * vocabSize + id]!)), 0)
    assert.ok(error > 0 && error < 0.15 * deviation, `token ${place}: off by ${error}, the standard deviation is ${deviation}`)
  }
})
