import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'
import { runRubato } from '../run-rubato.ts'

test('inspect says what a checkpoint is', async (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t), { tokenizer: true })
  const { code, stdout } = await runRubato(['model', 'inspect', dir])
  assert.equal(code, 0)
  assert.match(stdout, /: can be served\n/)
  assert.match(stdout, /^architecture +LlamaForCausalLM$/m)
  assert.match(stdout, /^heads +4 for queries, 2 for keys and values, 16 wide$/m)
  assert.match(stdout, /^KV memory +512 B per token, 2 MiB for the longest context$/m)
})

test('inspect explains what cannot be served, and prints JSON', async (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t), { configOverrides: { architectures: ['GPT2LMHeadModel'], model_type: 'gpt2' } })
  const { code, stdout } = await runRubato(['model', 'inspect', dir, '--json'])
  assert.equal(code, 0)
  const report = JSON.parse(stdout) as { supported: boolean; problems: string[]; hasTokenizer: boolean }
  assert.equal(report.supported, false)
  assert.match(report.problems.join('\n'), /GPT2LMHeadModel/)
  assert.match((await runRubato(['model', 'inspect', dir])).stdout, /: cannot be served\n[^]*\nbecause\n {2}- .*GPT2LMHeadModel/)
  assert.deepEqual(await runRubato(['model', 'inspect', 'nowhere']), { code: 2, stdout: '', stderr: 'error: DIR: nowhere does not exist; give a local Hugging Face checkpoint directory\n' })
})

test('check continues a prompt', async (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t), { tokenizer: true })
  const env = { RUBATO_CACHE_DIR: temporaryFolder(t) }
  const { code, stdout, stderr } = await runRubato(['model', 'check', dir, '--intra-op-threads', '1'], { env })
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.match(stdout, /^continuation +".+"$/m)
  assert.match(stdout, /^tokens +16$/m)
})

test('check fails with the reason: unsupported, or without a tokenizer', async (t) => {
  const unsupported = await runRubato(['model', 'check', temporaryFolder(t)])
  assert.equal(unsupported.code, 1)
  assert.match(unsupported.stderr, /^error: .* cannot be served: .*no weights found.*\n$/)
  const mute = await runRubato(['model', 'check', writeTinyCheckpoint(temporaryFolder(t))], { env: { RUBATO_CACHE_DIR: temporaryFolder(t) } })
  assert.equal(mute.code, 1)
  assert.match(mute.stderr, /^error: .*tokenizer\.json.*\n$/)
})
