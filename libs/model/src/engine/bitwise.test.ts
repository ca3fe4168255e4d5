// Identity: a token's logits are the same bits whatever ran beside it or before it, wherever its blocks lie, on any number of threads.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom, TinyCheckpointOptions } from '@rubato/testing'
import { RandomHistory } from './fixtures/random-history.ts'
import { TinyEngine, outcome, spec } from './fixtures/tiny-engine.ts'
import type { EngineOptions } from './options.ts'

const NUM_ROWS = 10
const NUM_PROMPTS = 24
/** Handles from here on are the same sequences on their own. */
const ALONE = 100

const ODD_WIDTHS = { hiddenSize: 50, intermediateSize: 67, headDim: 14, numHeads: 5, numKvHeads: 1, vocabSize: 131 }
const WIDER = { hiddenSize: 256, intermediateSize: 512, headDim: 64, vocabSize: 512, numLayers: 1 }

/** Prompts of 1 to 20 blocks of 8, many with a common start. */
function drawPrompts(random: SeededRandom, count: number): number[][] {
  const draw = (length: number): number[] => Array.from({ length }, () => random.int(131))
  const starts = [draw(16), draw(48), draw(96)]
  return Array.from({ length: count }, (_, place) => {
    const tail = draw(1 + random.int(place % 4 === 0 ? 150 : 40))
    return random.next() < 0.6 ? [...random.pick(starts), ...tail].slice(0, 150) : tail
  })
}

/** Rows of each prompt when no other sequence is there. */
async function rowsAlone(engine: TinyEngine, prompts: readonly (readonly number[])[]): Promise<Float32Array[][]> {
  const all: Float32Array[][] = []
  const blockIds = engine.takeBlocks(21)
  for (const [handle, prompt] of prompts.entries()) {
    const first = await engine.step({ admit: [spec(handle, prompt)], appendBlocks: [{ handle, blockIds }], cells: engine.cells(handle, prompt.length) })
    const rows = [outcome(first, handle).rows]
    while (rows.length < NUM_ROWS) rows.push(outcome(await engine.decode(handle), handle).rows)
    await engine.step({ release: [handle] })
    all.push(rows)
  }
  return all
}

const SHAPES: readonly (readonly [name: string, checkpoint: TinyCheckpointOptions, options: Partial<EngineOptions>])[] = [
  ['G = 2, two KV heads', {}, {}],
  ['G = 2, two KV heads, int8', {}, { dtype: 'int8' }],
  ['G = 1, two KV heads', { numHeads: 2, numLayers: 1 }, {}],
  ['G = 3, two KV heads', { numHeads: 6, numLayers: 1 }, {}],
  ['G = 7, two KV heads, int8', { numHeads: 14, numLayers: 1 }, { dtype: 'int8' }],
  ['G = 1, one KV head', { numHeads: 1, numKvHeads: 1, numLayers: 1 }, {}],
  ['G = 2, one KV head', { numHeads: 2, numKvHeads: 1, numLayers: 1 }, {}],
  ['G = 3, one KV head, int8', { numHeads: 3, numKvHeads: 1 }, { dtype: 'int8' }],
  ['G = 7, one KV head', { numHeads: 7, numKvHeads: 1 }, {}],
  ['head size 80, biases', { headDim: 80, attentionBias: true, mlpBias: true }, {}],
  ['head size 80, biases, int8', { headDim: 80, attentionBias: true, mlpBias: true }, { dtype: 'int8' }],
  ['Qwen3, tied', { architecture: 'Qwen3ForCausalLM', tied: true }, {}],
  ['Qwen3, tied, int8', { architecture: 'Qwen3ForCausalLM', tied: true }, { dtype: 'int8' }],
  ['Qwen2, bfloat16', { architecture: 'Qwen2ForCausalLM', dtype: 'bfloat16' }, {}],
  ['widths not multiples of 32', ODD_WIDTHS, {}],
  ['widths not multiples of 32, int8', ODD_WIDTHS, { dtype: 'int8' }],
  ['blocks of 16', {}, { blockSize: 16, cellTokens: 32 }],
  ['blocks of 24', {}, { blockSize: 24, cellTokens: 24 }],
  ['two threads, wider model', WIDER, { intraOpThreads: 2 }],
  ['two threads, wider model, int8', WIDER, { intraOpThreads: 2, dtype: 'int8' }],
]

for (const [place, [name, checkpoint, options]] of SHAPES.entries()) {
  test(`${name}: equal bits through a random history`, async (t) => {
    const seed = testSeed(70 + place)
    t.diagnostic(`seed ${seed}`)
    const random = seededRandom(seed)
    const prompts = drawPrompts(random, NUM_PROMPTS)
    const alone = await TinyEngine.open(t, checkpoint, { kvCacheBytes: 2 ** 24, ...options, intraOpThreads: 1 })
    const expected = await rowsAlone(alone, prompts)
    const engine = await TinyEngine.open(t, alone.modelDir, { kvCacheBytes: 2 ** 24, ...options })
    const history = new RandomHistory({ engine, random, prompts, expected, numBlocks: Math.floor(2400 / engine.shape.blockSize) })
    await history.run()
    assert.ok(history.widestBatch >= 8 && history.hitTokens > 100 && history.numReplays > 0, 'the history had what it is about')
    engine.executor.assertIntegrity()
  })
}

for (const dtype of ['float32', 'int8'] as const) {
  test(`every batch size from 1 to 32 gives equal bits, ${dtype}`, async (t) => {
    const engine = await TinyEngine.open(t, { numHeads: 3, numKvHeads: 1 }, { dtype, kvCacheBytes: 2 ** 22 })
    const random = seededRandom(8)
    const prompts = Array.from({ length: 32 }, (_, handle) => Array.from({ length: 1 + handle * 4 }, () => random.int(131)))
    for (const [handle, prompt] of prompts.entries()) await engine.prefill(spec(handle, prompt), 32)
    for (const [handle, prompt] of prompts.entries()) await engine.prefill(spec(ALONE + handle, prompt), 32)
    for (let size = 1; size <= 32; size++) {
      const handles = Array.from({ length: size }, (_, place) => (place * 7 + size) % 32)
      const together = await engine.decode(...handles)
      for (const handle of handles) {
        const { rows } = outcome(together, handle)
        const alone = outcome(await engine.decode(ALONE + handle), ALONE + handle).rows
        assert.ok(rows.every((value, place) => Object.is(value, alone[place])), `batch of ${size}, sequence ${handle}`)
      }
    }
  })
}
