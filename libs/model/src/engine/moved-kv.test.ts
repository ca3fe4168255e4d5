// KV that one engine computed and another installed: the other decodes from it with the bits of an engine that nothing moved
// from, whatever else it runs; and an engine that was reset serves like a fresh one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { TinyEngine, outcome, spec } from './fixtures/tiny-engine.ts'

const NUM_TOKENS = 12

interface Moved {
  readonly tokenIds: readonly number[]
  readonly rows: readonly Float32Array[]
}

/** Prompt and decodes on one engine. */
async function undisturbed(engine: TinyEngine, prompt: readonly number[]): Promise<Moved> {
  const steps = [outcome(await engine.prefill(spec(1, prompt), NUM_TOKENS), 1)]
  while (steps.length < NUM_TOKENS) steps.push(outcome(await engine.decode(1), 1))
  await engine.step({ release: [1] })
  return { tokenIds: steps.flatMap(({ tokenIds }) => tokenIds), rows: steps.map(({ rows }) => rows) }
}

/** `numBefore` tokens on one engine, the rest on another that also runs something else. */
async function moved(from: TinyEngine, to: TinyEngine, prompt: readonly number[], numBefore: number): Promise<Moved> {
  const { blockSize } = from.shape
  const blockIds = from.takeBlocks(Math.ceil((prompt.length + NUM_TOKENS) / blockSize))
  const steps = [outcome(await from.step({ admit: [spec(1, prompt)], appendBlocks: [{ handle: 1, blockIds }], cells: from.cells(1, prompt.length) }), 1)]
  while (steps.length < numBefore) steps.push(outcome(await from.decode(1), 1))
  const kvTokens = prompt.length + numBefore - 1
  const numBlocks = Math.ceil(kvTokens / blockSize)
  const exported = await from.executor.execute({ kind: 'export-blocks', blockIds: blockIds.slice(0, numBlocks) })
  assert.ok(exported.kind === 'export-blocks' && exported.bytes.length === numBlocks * from.shape.blockBytes)
  await from.step({ release: [1] })
  await to.prefill(spec(2, prompt.toReversed()), NUM_TOKENS)
  const targets = to.takeBlocks(blockIds.length)
  await to.executor.execute({ kind: 'install-blocks', blockIds: targets.slice(0, numBlocks), bytes: exported.bytes })
  const emittedIds = steps.flatMap(({ tokenIds }) => tokenIds)
  await to.step({ admit: [spec(3, prompt, { emittedIds, kvTokens })], appendBlocks: [{ handle: 3, blockIds: targets }] })
  while (steps.length < NUM_TOKENS) steps.push(outcome(await to.decode(2, 3), 3))
  await to.step({ release: [2, 3] })
  to.executor.assertIntegrity()
  return { tokenIds: steps.flatMap(({ tokenIds }) => tokenIds), rows: steps.map(({ rows }) => rows) }
}

function assertSameBits(got: Moved, expected: Moved, name: string): void {
  assert.deepEqual(got.tokenIds, expected.tokenIds, name)
  got.rows.forEach((row, step) => assert.ok(row.every((value, place) => Object.is(value, expected.rows[step]![place])), `${name}: logits of token ${step}`))
}

for (const dtype of ['float32', 'int8'] as const) {
  test(`decode goes on elsewhere with the same bits, right behind the prompt and later, ${dtype}`, async (t) => {
    const seed = testSeed(310)
    t.diagnostic(`seed ${seed}`)
    const random = seededRandom(seed)
    const from = await TinyEngine.open(t, {}, { dtype })
    const to = await TinyEngine.open(t, from.modelDir, { dtype })
    const same = await TinyEngine.open(t, from.modelDir, { dtype })
    for (const [promptLen, numBefore] of [[1, 1], [8, 1], [21, 1], [40, 1], [33, 5], [16, 9]] as const) {
      const prompt = Array.from({ length: promptLen }, () => random.int(131))
      assertSameBits(await moved(from, to, prompt, numBefore), await undisturbed(same, prompt), `prompt of ${promptLen}, moved after ${numBefore}`)
    }
  })
}

test('a reset forgets every sequence: handles and blocks serve anew', async (t) => {
  const engine = await TinyEngine.open(t, {})
  const prompt = Array.from({ length: 30 }, (_, place) => place + 1)
  const expected = await undisturbed(engine, prompt)
  const blockIds = engine.takeBlocks(8)
  const start = async (): Promise<Float32Array> =>
    outcome(await engine.step({ admit: [spec(1, prompt)], appendBlocks: [{ handle: 1, blockIds }], cells: engine.cells(1, prompt.length) }), 1).rows
  await start()
  await engine.decode(1)
  assert.deepEqual(await engine.executor.execute({ kind: 'reset' }), { kind: 'reset' })
  await assert.rejects(engine.decode(1), /not admitted/)
  assert.deepEqual(await start(), expected.rows[0])
  engine.executor.assertIntegrity()
})
