import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { writeTinyCheckpoint } from '../checkpoints/tiny-checkpoint.ts'
import type { TinyCheckpointOptions } from '../checkpoints/tiny-options.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { loadReference } from './reference.ts'

const BUNDLED_MODEL = path.resolve(import.meta.dirname, '../../../../models/shakespeare-target')
const LLAMA3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 }

/** Last token's logits of ids 0..3 from Hugging Face transformers 5.18 (float64) on the same checkpoints; seed = place + 1. */
const TRANSFORMERS: readonly (readonly [TinyCheckpointOptions, readonly number[]])[] = [
  [{}, [-1.1281, 1.0755, -1.009, -0.0348]],
  [{ tied: true, spelling: 'modern' }, [-0.3068, 0.5758, 0.9274, 1.2762]],
  [{ attentionBias: true, mlpBias: true }, [-0.7946, 2.0146, -1.2913, 0.0808]],
  [{ ropeScaling: LLAMA3 }, [-0.3596, -0.4549, -0.377, 0.9894]],
  [{ ropeScaling: LLAMA3, spelling: 'modern', ropeTheta: 500000 }, [0.2018, 0.4396, -0.7942, -0.129]],
  [{ ropeScaling: { type: 'linear', factor: 4 } }, [-0.7748, 0.8794, -1.0877, 0.6371]],
  [{ architecture: 'MistralForCausalLM', dtype: 'bfloat16', headDim: 24 }, [1.893, 0.363, -0.1637, 2.7913]],
  [{ architecture: 'Qwen2ForCausalLM', dtype: 'float16', headDim: 'derived', tied: true }, [0.1193, 2.2555, -1.1849, -0.9743]],
  [{ architecture: 'Qwen3ForCausalLM', tied: true, sharded: true }, [-0.4074, -0.056, 0.8534, -0.9008]],
  [{ architecture: 'Qwen3ForCausalLM', attentionBias: true, headDim: 32, ropeTheta: 1000000 }, [-1.9649, -0.6353, -0.4264, -0.2227]],
  [{ numKvHeads: 4 }, [1.3214, -0.3518, 0.9227, -1.2244]],
]

test('every family agrees with Hugging Face transformers', (t) => {
  const input = { tokenIds: [5, 9, 33, 150, 7, 7, 80, 3, 44, 12], positions: [0, 1, 2, 3, 100, 101, 102, 900, 901, 902] }
  TRANSFORMERS.forEach(([options, expected], place) => {
    const logits = loadReference(writeTinyCheckpoint(temporaryFolder(t), { ...options, seed: place + 1 })).forward(input).at(-1)
    expected.forEach((value, id) => assert.ok(Math.abs((logits?.[id] ?? 0) - value) < 2e-4, `${JSON.stringify(options)} id ${id}: ${logits?.[id]} for ${value}`))
  })
})

test('the bundled target model gives its recorded logits and greedy continuation', () => {
  const recorded = JSON.parse(readFileSync(path.join(BUNDLED_MODEL, 'reference.json'), 'utf8')) as Record<'prompt_ids' | 'next_top_ids' | 'next_top_logits' | 'greedy_ids', number[]>
  const numSteps = 4
  const prompt = recorded.prompt_ids
  const rows = loadReference(BUNDLED_MODEL).forward({ tokenIds: [...prompt, ...recorded.greedy_ids.slice(0, numSteps - 1)] }).slice(prompt.length - 1)
  const first = rows[0] ?? assert.fail('no logits')
  recorded.next_top_ids.forEach((id, i) => assert.ok(Math.abs((first[id] ?? 0) - (recorded.next_top_logits[i] ?? 0)) < 0.05, `id ${id}: ${first[id]}`))
  assert.deepEqual(rows.map((row) => row.indexOf(Math.max(...row))), recorded.greedy_ids.slice(0, numSteps))
})

test('a tree under its mask equals each of its branches alone', (t) => {
  const reference = loadReference(writeTinyCheckpoint(temporaryFolder(t), { architecture: 'Qwen3ForCausalLM' }))
  const prefix = [3, 14, 15, 92]
  const tree = { tokenIds: [65, 35, 89, 79, 32], parents: [-1, 0, 0, 2, -1] }
  const ancestry = (node: number): number[] => (node < 0 ? [] : [...ancestry(tree.parents[node] ?? -1), node])
  const logits = reference.forward({
    tokenIds: [...prefix, ...tree.tokenIds],
    positions: [...prefix.keys(), ...tree.tokenIds.map((_, node) => prefix.length + ancestry(node).length - 1)],
    attends: (query, key) => (query < prefix.length || key < prefix.length ? key <= query : ancestry(query - prefix.length).includes(key - prefix.length)),
  })
  tree.tokenIds.forEach((_, node) => {
    const branch = ancestry(node).map((ancestor) => tree.tokenIds[ancestor] ?? 0)
    const alone = reference.forward({ tokenIds: [...prefix, ...branch] }).at(-1)
    assert.deepEqual([...(logits[prefix.length + node] ?? [])], [...(alone ?? [])])
  })
})

test('a causal model does not look ahead, and does look back', (t) => {
  const reference = loadReference(writeTinyCheckpoint(temporaryFolder(t), {}))
  const [first, second, last] = reference.forward({ tokenIds: [1, 2, 3] })
  const [sameFirst, sameSecond, otherLast] = reference.forward({ tokenIds: [1, 2, 4] })
  assert.deepEqual([first, second], [sameFirst, sameSecond])
  assert.notDeepEqual(last, otherLast)
  assert.notDeepEqual(reference.forward({ tokenIds: [5, 2, 3] })[2], last)
})
