import assert from 'node:assert/strict'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'
import { describeCheckpoint } from './describe.ts'

test('a supported checkpoint is described in full', async (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t), { tokenizer: true, dtype: 'bfloat16', sharded: true, eosTokenId: [0, 3] })
  const report = await describeCheckpoint(dir)
  assert.deepEqual(report.problems, [])
  assert.equal(report.supported, true)
  assert.equal(report.architecture, 'LlamaForCausalLM')
  assert.equal(report.dtype, 'bfloat16')
  assert.deepEqual(report.shape, { vocabSize: 1024, hiddenSize: 64, intermediateSize: 96, numLayers: 2, numHeads: 4, numKvHeads: 2, headDim: 16, maxPositions: 4096 })
  // K and V of 2 layers, 2 KV heads of 16, 4 bytes each.
  assert.equal(report.kvBytesPerToken, 2 * 2 * 2 * 16 * 4)
  assert.deepEqual(report.files.map((file) => file.name), ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'])
  const weightBytes = 2 * (report.numParameters ?? 0)
  const fileBytes = report.files.reduce((sum, file) => sum + file.sizeBytes, 0)
  assert.ok(weightBytes > 0 && fileBytes > weightBytes && fileBytes < weightBytes + 8192, `${fileBytes} for ${weightBytes}`)
  assert.deepEqual([report.hasTokenizer, report.hasChatTemplate], [true, true])
  assert.deepEqual(report.generationDefaults?.eosTokenIds, [0, 3])
})

test('every reason against a checkpoint is listed, and its shape is told all the same', async (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t), {
    configOverrides: { architectures: ['MixtralForCausalLM'], num_local_experts: 8, quantization_config: { quant_method: 'gptq' }, hidden_act: 'gelu' },
  })
  renameSync(path.join(dir, 'model.safetensors'), path.join(dir, 'model.gguf'))
  const report = await describeCheckpoint(dir)
  assert.equal(report.supported, false)
  for (const reason of [/mixture-of-experts/, /MixtralForCausalLM/, /GPTQ/, /hidden_act/, /GGUF/])
    assert.equal(report.problems.filter((problem) => reason.test(problem)).length, 1, `${reason}: ${report.problems.join('\n')}`)
  assert.equal(report.problems.length, 5)
  assert.equal(report.architecture, 'MixtralForCausalLM')
  assert.equal(report.shape.numLayers, 2)
  assert.equal(report.dtype, 'float32')
  assert.deepEqual([report.hasTokenizer, report.hasChatTemplate, report.config, report.numParameters], [false, false, null, null])
})

test('nothing it meets makes it throw', async (t) => {
  const dir = temporaryFolder(t)
  const problemsOf = async (target: string): Promise<string> => {
    const report = await describeCheckpoint(target)
    assert.equal(report.supported, false)
    assert.ok(report.problems.length > 0)
    return report.problems.join('\n')
  }
  assert.match(await problemsOf(path.join(dir, 'absent')), /cannot be read/)
  assert.match(await problemsOf(dir), /no weights found/)
  writeTinyCheckpoint(dir)
  writeFileSync(path.join(dir, 'generation_config.json'), '[]')
  assert.match(await problemsOf(dir), /not a JSON object/)
  writeFileSync(path.join(dir, 'config.json'), '{"architectures": 5, "layer_types": 7, "quantization_config": 3}')
  assert.match(await problemsOf(dir), /architectures/)
  rmSync(path.join(dir, 'config.json'))
  assert.match(await problemsOf(dir), /config.json: file: is missing/)
})
