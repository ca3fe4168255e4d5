import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import { CheckpointError } from '@rubato/config'
import { loadGenerationDefaults } from './generation-defaults.ts'
import type { GenerationDefaults } from './generation-defaults.ts'

const NOTHING: GenerationDefaults = { temperature: null, topP: null, topK: null, minP: null, repetitionPenalty: null, eosTokenIds: [], maxNewTokens: null }

test('generation_config.json becomes sampling defaults', async (t) => {
  const dir = temporaryFolder(t)
  const load = (content: unknown): Promise<GenerationDefaults> => {
    writeFileSync(path.join(dir, 'generation_config.json'), JSON.stringify(content))
    return loadGenerationDefaults(dir)
  }
  assert.deepEqual(await loadGenerationDefaults(dir), NOTHING)
  assert.deepEqual(await load({}), NOTHING)
  const qwen = { do_sample: true, temperature: 0.6, top_k: 20, top_p: 0.95, min_p: 0.05, repetition_penalty: 1.05, eos_token_id: [151645, 151643], max_new_tokens: 2048 }
  const expected = { temperature: 0.6, topP: 0.95, topK: 20, minP: 0.05, repetitionPenalty: 1.05, eosTokenIds: [151645, 151643], maxNewTokens: 2048 }
  assert.deepEqual(await load(qwen), expected)
  assert.deepEqual(await load({ ...qwen, do_sample: undefined }), expected)
  assert.deepEqual(await load({ ...qwen, do_sample: false }), { ...expected, temperature: null, topP: null, topK: null, minP: null })
  assert.deepEqual(await load({ top_k: -1, eos_token_id: 2, temperature: null }), { ...NOTHING, topK: 0, eosTokenIds: [2] })
})

test('values out of range are refused by name', async (t) => {
  const dir = temporaryFolder(t)
  const cases: readonly (readonly [string, unknown])[] = [
    ['temperature', -1],
    ['temperature', '0.7'],
    ['top_p', 0],
    ['top_p', 1.5],
    ['top_k', -2],
    ['top_k', 1.5],
    ['min_p', 2],
    ['repetition_penalty', 0],
    ['max_new_tokens', 0],
    ['eos_token_id', 'stop'],
    ['do_sample', 1],
  ]
  for (const [field, value] of cases) {
    writeFileSync(path.join(dir, 'generation_config.json'), JSON.stringify({ [field]: value }))
    const isNamed = (error: unknown): boolean => error instanceof CheckpointError && error.field === field && error.file === path.join(dir, 'generation_config.json')
    await assert.rejects(loadGenerationDefaults(dir), isNamed, field)
  }
})
