import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { seededRandom, temporaryFolder, testSeed, writeTinyCheckpoint } from '@rubato/testing'
import type { TinyCheckpointOptions } from '@rubato/testing'
import { CheckpointError } from '@rubato/config'
import type { Checkpoint } from './checkpoint.ts'
import { describeCheckpoint } from './describe.ts'
import { loadCheckpoint } from './load.ts'

const ARCHITECTURES = ['LlamaForCausalLM', 'MistralForCausalLM', 'Qwen2ForCausalLM', 'Qwen3ForCausalLM'] as const
const DTYPES = ['float32', 'float16', 'bfloat16'] as const

/** Tensors fill each file from its header to its end, without gap or overlap. */
function assertTiles(checkpoint: Checkpoint): void {
  const files = new Map<string, { offsetBytes: number; sizeBytes: number }[]>()
  for (const tensor of checkpoint.tensors.values()) files.set(tensor.file, [...(files.get(tensor.file) ?? []), tensor])
  for (const [file, tensors] of files) {
    const content = readFileSync(file)
    let at = 8 + Number(content.readBigUInt64LE(0))
    for (const { offsetBytes, sizeBytes } of tensors.toSorted((left, right) => left.offsetBytes - right.offsetBytes)) {
      assert.equal(offsetBytes, at)
      at += sizeBytes
    }
    assert.equal(at, content.length)
  }
}

for (const architecture of ARCHITECTURES) {
  test(`${architecture} loads in every dtype, single or sharded, tied or not`, async (t) => {
    for (const dtype of DTYPES) {
      for (const sharded of [false, true]) {
        for (const tied of [false, true]) {
          const dir = writeTinyCheckpoint(temporaryFolder(t), { architecture, dtype, sharded, tied })
          const checkpoint = await loadCheckpoint(dir)
          assert.equal(checkpoint.config.architecture, architecture)
          assert.equal(checkpoint.tensors.has('lm_head.weight'), !tied)
          assert.ok([...checkpoint.tensors.values()].every((tensor) => tensor.dtype === dtype && path.isAbsolute(tensor.file)))
          assert.equal(new Set([...checkpoint.tensors.values()].map((tensor) => tensor.file)).size, sharded ? 2 : 1)
          assertTiles(checkpoint)
        }
      }
    }
  })
}

test('each family has its own biases and head norms', async (t) => {
  const suffixes = async (options: TinyCheckpointOptions): Promise<string[]> => {
    const { tensors } = await loadCheckpoint(writeTinyCheckpoint(temporaryFolder(t), options))
    const extra = [...tensors.keys()].filter((name) => name.startsWith('model.layers.1.') && (name.endsWith('.bias') || /[qk]_norm/.test(name)))
    return extra.map((name) => name.replace(/^model\.layers\.1\.(self_attn|mlp)\./, ''))
  }
  const qkv = ['q_proj.bias', 'k_proj.bias', 'v_proj.bias']
  const norms = ['q_norm.weight', 'k_norm.weight']
  assert.deepEqual(await suffixes({}), [])
  assert.deepEqual(await suffixes({ attentionBias: true }), [...qkv, 'o_proj.bias'])
  assert.deepEqual(await suffixes({ mlpBias: true }), ['gate_proj.bias', 'up_proj.bias', 'down_proj.bias'])
  assert.deepEqual(await suffixes({ architecture: 'MistralForCausalLM' }), [])
  assert.deepEqual(await suffixes({ architecture: 'Qwen2ForCausalLM' }), qkv)
  assert.deepEqual(await suffixes({ architecture: 'Qwen3ForCausalLM' }), norms)
  assert.deepEqual(await suffixes({ architecture: 'Qwen3ForCausalLM', attentionBias: true }), [...qkv, 'o_proj.bias', ...norms])
})

test('grouped, multi-head and multi-query attention load, with head_dim given or derived', async (t) => {
  const shapes = [
    { numKvHeads: 1, headDim: 16 },
    { numKvHeads: 2, headDim: 24 },
    { numKvHeads: 4, headDim: 'derived' },
  ] as const
  for (const shape of shapes) {
    const { config, tensors } = await loadCheckpoint(writeTinyCheckpoint(temporaryFolder(t), shape))
    assert.equal(config.headDim, shape.headDim === 'derived' ? 16 : shape.headDim)
    assert.deepEqual(tensors.get('model.layers.0.self_attn.k_proj.weight')?.shape, [config.numKvHeads * config.headDim, 64])
    assert.deepEqual(tensors.get('model.layers.0.self_attn.o_proj.weight')?.shape, [64, 4 * config.headDim])
  }
})

test('a location points at the weights themselves', async (t) => {
  const { tensors } = await loadCheckpoint(writeTinyCheckpoint(temporaryFolder(t), { sharded: true }))
  const norm = tensors.get('model.norm.weight')
  assert.ok(norm)
  const bytes = readFileSync(norm.file).subarray(norm.offsetBytes, norm.offsetBytes + norm.sizeBytes)
  const values = Array.from({ length: 64 }, (_, i) => bytes.readFloatLE(i * 4))
  // Norm weights are drawn around 1, all others around 0.
  assert.ok(values.every((value) => value > 0.4 && value < 1.6), String(values))
})

test('parameters count a tied embedding once', async (t) => {
  const count = async (tied: boolean): Promise<number> => (await loadCheckpoint(writeTinyCheckpoint(temporaryFolder(t), { tied }))).numParameters
  // Per layer: q 64x64, k and v 32x64, o 64x64, three 96x64, two norms; then embedding 160x64 and the last norm.
  const tied = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64 + 2 * 64) + 160 * 64 + 64
  assert.equal(await count(true), tied)
  assert.equal(await count(false), tied + 160 * 64)
})

test('the bundled pair loads', async () => {
  for (const name of ['shakespeare-target', 'shakespeare-draft']) {
    const { config, tensors } = await loadCheckpoint(path.resolve(import.meta.dirname, '../../../../models', name))
    assert.equal(config.vocabSize, 1024)
    assert.equal(tensors.get('model.embed_tokens.weight')?.dtype, 'float16')
  }
})

test('damaged files give a CheckpointError or load, never anything else', async (t) => {
  const seed = testSeed(20240611)
  const random = seededRandom(seed)
  const dir = writeTinyCheckpoint(temporaryFolder(t), { numLayers: 1 })
  for (const name of ['model.safetensors', 'config.json']) {
    const file = path.join(dir, name)
    const good = readFileSync(file)
    const reach = name === 'config.json' ? good.length : 8 + Number(good.readBigUInt64LE(0))
    for (let round = 0; round < 150; round++) {
      const bad = Buffer.from(good)
      for (let edits = 1 + random.int(3); edits > 0; edits--) bad[random.int(reach)] = random.int(256)
      writeFileSync(file, random.next() < 0.2 ? bad.subarray(0, random.int(bad.length)) : bad)
      const outcome = await loadCheckpoint(dir).catch((cause: unknown) => cause)
      const isClean = outcome instanceof CheckpointError ? outcome.message.startsWith(dir) : !(outcome instanceof Error)
      assert.ok(isClean, `seed ${seed} round ${round} ${name}: ${String(outcome)}`)
      const report = await describeCheckpoint(dir)
      assert.equal(report.supported, !(outcome instanceof Error), `seed ${seed} round ${round} ${name}: ${report.problems.join('; ')}`)
    }
    writeFileSync(file, good)
  }
})
