import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadDistServeCapacity } from '../data-files.ts'
import { requireAccelerator, requireModel } from '../open-timer.ts'
import { kvCapacityTokens } from './kv-capacity.ts'
import { kvBytesPerToken, weightBytes } from './model-architectures.ts'

const GB = 1e9

test('models weigh what their names say', () => {
  const billions: readonly (readonly [model: string, weights: number])[] = [
    ['llama2-7b', 6.74], ['llama2-70b', 68.98], ['llama3-8b', 8.03], ['mistral-7b', 7.24], ['codellama-34b', 33.74], ['yi-34b', 34.39],
    ['opt-13b', 12.85], ['opt-66b', 65.7], ['bloom-176b', 176.2],
  ]
  for (const [model, weights] of billions) {
    const counted = weightBytes(requireModel(model)) / 2 / 1e9
    assert.ok(Math.abs(counted / weights - 1) < 0.005, `${model}: ${counted} billion`)
  }
})

test('KV of a token: grouped heads count once', () => {
  // OPT-66B: 2 * 64 layers * 9216 * 2 bytes; 512 tokens are the 1.13 GB (2^30 bytes) of DistServe.
  assert.equal(kvBytesPerToken(requireModel('opt-66b')), 2_359_296)
  assert.equal((512 * 2_359_296) / 2 ** 30, 1.125)
  assert.equal(kvBytesPerToken(requireModel('bloom-176b')), 2 * 70 * 14336 * 2)
  // Yi-34B: 8 of 56 heads hold keys and values.
  assert.equal(kvBytesPerToken(requireModel('yi-34b')), 2 * 60 * 8 * 128 * 2)
})

test('the KV capacity is that of DistServe for the share of memory that it took', () => {
  const published = loadDistServeCapacity()
  const a100 = requireAccelerator('a100-80gb')
  for (const [name, tp, pp] of [['opt-13b', 1, 1], ['opt-13b', 2, 1], ['opt-13b', 2, 2], ['opt-66b', 4, 1], ['opt-66b', 8, 1], ['opt-66b', 4, 2]] as const) {
    const tokens = kvCapacityTokens(a100, requireModel(name), tp * pp, 0.92)
    assert.ok(Math.abs(tokens / published(name, tp, pp)! - 1) < 0.02, `${name} tp ${tp} pp ${pp}: ${tokens} for ${published(name, tp, pp)}`)
  }
})

test('weights that do not fit leave no KV', () => {
  assert.equal(kvCapacityTokens(requireAccelerator('l4'), requireModel('llama2-70b'), 1), 0)
  // 0.9 * 24 GiB less the weights of Llama-3-8B, at 131,072 bytes a token.
  const freeBytes = 0.9 * 24 * 2 ** 30 - weightBytes(requireModel('llama3-8b'))
  assert.equal(kvCapacityTokens(requireAccelerator('l4'), requireModel('llama3-8b'), 1), Math.floor(freeBytes / 131_072))
  assert.ok(freeBytes > 7 * GB && freeBytes < 7.3 * GB)
})
