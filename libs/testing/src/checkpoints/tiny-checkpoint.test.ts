import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { loadReference } from '../reference/reference.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { encode } from './safetensors-writer.ts'
import { writeTinyCheckpoint } from './tiny-checkpoint.ts'
import { NAMED_SHAPES } from './tiny-options.ts'

const TOKENS = { tokenIds: [11, 7, 42, 99, 3, 120] }

test('equal options give equal bytes, another seed gives others', (t) => {
  const weights = (seed: number): Buffer => readFileSync(path.join(writeTinyCheckpoint(temporaryFolder(t), { seed }), 'model.safetensors'))
  assert.deepEqual(weights(4), weights(4))
  assert.notDeepEqual(weights(4), weights(5))
})

test('sharding does not change the model', (t) => {
  const logits = (sharded: boolean): Float64Array[] => loadReference(writeTinyCheckpoint(temporaryFolder(t), { sharded })).forward(TOKENS)
  assert.deepEqual(logits(true), logits(false))
})

test('logits have a standard deviation around 1 in every family', (t) => {
  for (const architecture of ['LlamaForCausalLM', 'MistralForCausalLM', 'Qwen2ForCausalLM', 'Qwen3ForCausalLM'] as const) {
    for (const tied of [false, true]) {
      const logits = loadReference(writeTinyCheckpoint(temporaryFolder(t), { architecture, tied })).forward(TOKENS).flatMap((row) => [...row])
      const std = Math.sqrt(logits.reduce((sum, logit) => sum + logit * logit, 0) / logits.length)
      assert.ok(std > 0.8 && std < 1.25, `${architecture} tied ${tied}: ${std}`)
    }
  }
})

test('half precisions round to nearest, ties to even', () => {
  // 1 + 2^-11 lies midway between two halves; 1 + 2^-8 midway between two bfloat16.
  const cases: readonly (readonly [number, number, number])[] = [
    [0, 0x0000, 0x0000],
    [1, 0x3c00, 0x3f80],
    [-2, 0xc000, 0xc000],
    [1 + 2 ** -11, 0x3c00, 0x3f80],
    [1 + 3 * 2 ** -11, 0x3c02, 0x3f80],
    [1 + 2 ** -8, 0x3c04, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3c0c, 0x3f82],
    [2 - 2 ** -12, 0x4000, 0x4000],
    [2 ** -24, 0x0001, 0x3380],
    [2 ** -14 - 2 ** -26, 0x0400, 0x3880],
  ]
  for (const [value, half, bfloat] of cases) {
    assert.equal(encode(Float64Array.of(value), 'float16')[0], half, `${value} as float16`)
    assert.equal(encode(Float64Array.of(value), 'bfloat16')[0], bfloat, `${value} as bfloat16`)
  }
})

test('the tokenizer comes along on request, and needs its vocabulary', (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t), { tokenizer: true })
  assert.ok(existsSync(path.join(dir, 'tokenizer.json')))
  assert.equal((JSON.parse(readFileSync(path.join(dir, 'config.json'), 'utf8')) as { vocab_size: number }).vocab_size, 1024)
  assert.throws(() => writeTinyCheckpoint(temporaryFolder(t), { tokenizer: true, vocabSize: 512 }), /1024/)
})

test('the named shapes have their quoted sizes', () => {
  const parameters = (name: keyof typeof NAMED_SHAPES): number => {
    const { hiddenSize, numLayers, numHeads, numKvHeads, headDim, intermediateSize, vocabSize } = NAMED_SHAPES[name]
    const layer = 2 * hiddenSize * headDim * (numHeads + numKvHeads) + 3 * hiddenSize * intermediateSize + 2 * hiddenSize
    return vocabSize * hiddenSize + numLayers * layer + hiddenSize
  }
  assert.equal(Math.floor(parameters('S') / 1e6), 13)
  assert.equal(Math.floor(parameters('M') / 1e6), 386)
})
