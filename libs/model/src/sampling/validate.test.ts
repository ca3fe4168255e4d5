import assert from 'node:assert/strict'
import test from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { plainParams } from './reference/naive-sampler.ts'
import { validateSampling } from './validate.ts'
import type { SamplingParams } from './params.ts'

const LIMITS = { vocabSize: 100, eosTokenIds: [2] }

/** Per contract field: what must pass, and what must be refused. */
const CASES: readonly { readonly field: string; readonly good: readonly Partial<SamplingParams>[]; readonly bad: readonly Partial<SamplingParams>[] }[] = [
  { field: 'temperature', good: [{ temperature: 0 }, { temperature: 2.5 }], bad: [{ temperature: NaN }, { temperature: -0.1 }, { temperature: Infinity }] },
  { field: 'top_p', good: [{ topP: 1e-6 }, { topP: 1 }], bad: [{ topP: 0 }, { topP: 1.01 }, { topP: NaN }, { topP: -1 }] },
  { field: 'top_k', good: [{ topK: 0 }, { topK: 5000 }], bad: [{ topK: -1 }, { topK: 1.5 }, { topK: NaN }] },
  { field: 'min_p', good: [{ minP: 0 }, { minP: 1 }], bad: [{ minP: -0.01 }, { minP: 1.01 }, { minP: NaN }] },
  { field: 'presence_penalty', good: [{ presencePenalty: -2 }, { presencePenalty: 2 }], bad: [{ presencePenalty: 2.1 }, { presencePenalty: NaN }] },
  { field: 'frequency_penalty', good: [{ frequencyPenalty: -2 }, { frequencyPenalty: 2 }], bad: [{ frequencyPenalty: -2.1 }, { frequencyPenalty: NaN }] },
  { field: 'repetition_penalty', good: [{ repetitionPenalty: 0.1 }, { repetitionPenalty: 5 }], bad: [{ repetitionPenalty: 0 }, { repetitionPenalty: -1 }, { repetitionPenalty: Infinity }, { repetitionPenalty: NaN }] },
  { field: 'logit_bias', good: [{ logitBias: [[0, -100], [99, 100]] }], bad: [{ logitBias: [[100, 1]] }, { logitBias: [[-1, 1]] }, { logitBias: [[0.5, 1]] }, { logitBias: [[3, 101]] }, { logitBias: [[3, NaN]] }] },
  { field: 'max_tokens', good: [{ maxTokens: 1 }], bad: [{ maxTokens: 0 }, { maxTokens: 1.5 }, { maxTokens: NaN }] },
  { field: 'min_tokens', good: [{ minTokens: 5, maxTokens: 5 }], bad: [{ minTokens: -1 }, { minTokens: 6, maxTokens: 5 }, { minTokens: 0.5 }] },
  { field: 'logprobs', good: [{ logprobs: null }, { logprobs: 0 }, { logprobs: 20 }], bad: [{ logprobs: 21 }, { logprobs: -1 }, { logprobs: 1.5 }] },
  { field: 'seed', good: [{ seed: 0 }, { seed: Number.MAX_SAFE_INTEGER }], bad: [{ seed: -1 }, { seed: 2 ** 53 }, { seed: 0.5 }, { seed: NaN }] },
  { field: 'stop_token_ids', good: [{ stopTokenIds: [0, 99] }], bad: [{ stopTokenIds: [100] }, { stopTokenIds: [-1] }, { stopTokenIds: [1.5] }] },
]

for (const { field, good, bad } of CASES) {
  void test(`${field}: accepts its range and refuses the rest by name`, () => {
    for (const changes of good) validateSampling(plainParams(changes), LIMITS)
    for (const changes of bad) {
      assert.throws(() => validateSampling(plainParams(changes), LIMITS), (error) => error instanceof InvalidArgument && error.field === `sampling.${field}` && error.message.includes(field))
    }
  })
}

void test('stop ids that cover the vocabulary are refused while min_tokens masks them', () => {
  const allButEos = Array.from({ length: 100 }, (_, id) => id).filter((id) => id !== 2)
  const params = plainParams({ stopTokenIds: allButEos, minTokens: 1 })
  assert.throws(() => validateSampling(params, LIMITS), { field: 'sampling.stop_token_ids' })
  validateSampling({ ...params, minTokens: 0 }, LIMITS)
  validateSampling({ ...params, ignoreEos: true }, LIMITS)
})
