import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CheckpointError } from '@rubato/config'
import type { ModelConfig } from '../checkpoint.ts'
import { JsonFields } from './json-fields.ts'
import { parseModelConfig } from './model-config.ts'

const LLAMA = {
  architectures: ['LlamaForCausalLM'],
  vocab_size: 128,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
}
const LLAMA3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 }

function parse(overrides: Readonly<Record<string, unknown>>, generation?: Readonly<Record<string, unknown>>): ModelConfig {
  const fields = new JsonFields('/m/config.json', { ...LLAMA, ...overrides })
  return parseModelConfig(fields, generation === undefined ? null : new JsonFields('/m/generation_config.json', generation))
}

test('absent fields take the defaults of Hugging Face', () => {
  const llama = parse({})
  assert.deepEqual([llama.numKvHeads, llama.headDim, llama.rmsNormEps, llama.ropeTheta, llama.maxPositions], [4, 16, 1e-6, 10000, 2048])
  assert.deepEqual([llama.tiedEmbeddings, llama.qkvBias, llama.mlpBias, llama.bosTokenId], [false, false, false, null])
  assert.deepEqual(llama.ropeScaling, { kind: 'none' })
  assert.equal(parse({ architectures: ['Qwen3ForCausalLM'] }).headDim, 128)
  assert.equal(parse({ architectures: ['Qwen2ForCausalLM'] }).maxPositions, 32768)
})

test('null counts as absent', () => {
  const config = parse({ head_dim: null, num_key_value_heads: null, rope_scaling: null, bos_token_id: null, eos_token_id: null })
  assert.deepEqual([config.headDim, config.numKvHeads, config.ropeScaling.kind, config.eosTokenIds.length], [16, 4, 'none', 0])
})

test('model_type stands in for missing architectures', () => {
  assert.equal(parse({ architectures: undefined, model_type: 'qwen3' }).architecture, 'Qwen3ForCausalLM')
  assert.equal(parse({ architectures: null, model_type: 'mistral', sliding_window: null }).architecture, 'MistralForCausalLM')
})

test('rope reads the same in the classic and the modern spelling', () => {
  const llama3 = { kind: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 }
  const spellings: readonly (readonly [Readonly<Record<string, unknown>>, number, ModelConfig['ropeScaling']])[] = [
    [{ rope_theta: 5e5, rope_scaling: LLAMA3 }, 5e5, llama3 as ModelConfig['ropeScaling']],
    [{ rope_parameters: { rope_theta: 5e5, ...LLAMA3 } }, 5e5, llama3 as ModelConfig['ropeScaling']],
    [{ rope_theta: 1e6, rope_scaling: { type: 'linear', factor: 4 } }, 1e6, { kind: 'linear', factor: 4 }],
    [{ rope_parameters: { rope_type: 'linear', rope_theta: 1e6, factor: 4 } }, 1e6, { kind: 'linear', factor: 4 }],
    [{ rope_scaling: { rope_type: 'default' } }, 10000, { kind: 'none' }],
    [{ rope_parameters: { rope_type: 'default', rope_theta: 2e4 } }, 2e4, { kind: 'none' }],
    [{ rope_parameters: { rope_theta: 2e4 } }, 2e4, { kind: 'none' }],
    [{ rope_theta: 7, rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { rope_type: 'linear', rope_theta: 7, factor: 2 } }, 7, { kind: 'linear', factor: 2 }],
    [{ rope_scaling: { ...LLAMA3, original_max_position_embeddings: undefined }, original_max_position_embeddings: 8192 }, 10000, llama3 as ModelConfig['ropeScaling']],
  ]
  for (const [fields, theta, scaling] of spellings) {
    const config = parse(fields)
    assert.equal(config.ropeTheta, theta, JSON.stringify(fields))
    assert.deepEqual(config.ropeScaling, scaling, JSON.stringify(fields))
  }
})

test('end-of-sequence ids of both files merge; unreachable ones are left out', () => {
  assert.deepEqual(parse({ eos_token_id: 7 }, { eos_token_id: [9, 7, 3] }).eosTokenIds, [3, 7, 9])
  assert.deepEqual(parse({ eos_token_id: [5, 128] }).eosTokenIds, [5])
  assert.deepEqual(parse({}, { eos_token_id: 1 }).eosTokenIds, [1])
})

test('fields out of range are refused by name', () => {
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, string, RegExp])[] = [
    [{ vocab_size: undefined }, 'vocab_size', /missing/],
    [{ hidden_size: 0 }, 'hidden_size', /integer >= 1/],
    [{ hidden_size: 64.5 }, 'hidden_size', /integer/],
    [{ num_hidden_layers: '2' }, 'num_hidden_layers', /"2"/],
    [{ num_hidden_layers: -2 }, 'num_hidden_layers', /-2/],
    [{ num_attention_heads: 5 }, 'num_attention_heads', /does not divide hidden_size 64/],
    [{ num_key_value_heads: 3 }, 'num_key_value_heads', /does not divide num_attention_heads 4/],
    [{ head_dim: 15 }, 'head_dim', /even/],
    [{ rms_norm_eps: 0 }, 'rms_norm_eps', /> 0/],
    [{ rope_theta: -1 }, 'rope_theta', /> 0/],
    [{ tie_word_embeddings: 'yes' }, 'tie_word_embeddings', /true or false/],
    [{ eos_token_id: [1, -1] }, 'eos_token_id', /token ids/],
    [{ eos_token_id: [[1]] }, 'eos_token_id', /token ids/],
    [{ rope_scaling: 'linear' }, 'rope_scaling', /object/],
    [{ rope_scaling: { type: 'linear' } }, 'rope_scaling.factor', /missing/],
    [{ rope_scaling: { type: 'linear', factor: 0 } }, 'rope_scaling.factor', /> 0/],
    [{ rope_scaling: { factor: 2 } }, 'rope_scaling.rope_type', /missing/],
    [{ rope_scaling: { ...LLAMA3, high_freq_factor: 1 } }, 'rope_scaling.high_freq_factor', /greater/],
    [{ rope_parameters: { ...LLAMA3, original_max_position_embeddings: 0 } }, 'rope_parameters.original_max_position_embeddings', />= 1/],
    [{ rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { rope_type: 'linear', factor: 4 } }, 'rope_scaling', /differs/],
  ]
  for (const [overrides, field, message] of cases) assertRefused(() => parse(overrides), field, message)
})

test('what is not served is refused by name, saying what is', () => {
  const awq = { quantization_config: { quant_method: 'awq', bits: 4 } }
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, string, RegExp])[] = [
    [{ architectures: ['GemmaForCausalLM'] }, 'architectures', /"GemmaForCausalLM" is not supported; supported are LlamaForCausalLM, Mistral/],
    [{ architectures: undefined }, 'architectures', /missing/],
    [{ architectures: undefined, model_type: 'gpt2' }, 'architectures', /"gpt2"/],
    [{ architectures: ['LlavaForConditionalGeneration'], vision_config: {} }, 'vision_config', /multimodal/],
    [{ architectures: ['MixtralForCausalLM'], num_local_experts: 8 }, 'num_local_experts', /mixture-of-experts/],
    [{ architectures: ['Qwen3MoeForCausalLM'], num_experts: 128 }, 'num_experts', /mixture-of-experts/],
    [awq, 'quantization_config', /quantized with AWQ; supported are float32/],
    [{ quantization_config: { quant_method: 'gptq' } }, 'quantization_config', /GPTQ/],
    [{ quantization_config: { quant_method: 'fp8' } }, 'quantization_config', /FP8/],
    [{ quantization_config: { load_in_4bit: true } }, 'quantization_config', /bitsandbytes/],
    [{ quantization_config: { quant_method: 'compressed-tensors' } }, 'quantization_config', /compressed-tensors/],
    [{ hidden_act: 'gelu' }, 'hidden_act', /"gelu"; supported is silu/],
    [{ rope_scaling: { type: 'yarn', factor: 4 } }, 'rope_scaling.type', /"yarn"; supported are default, linear and llama3/],
    [{ rope_scaling: { rope_type: 'dynamic', factor: 4 } }, 'rope_scaling.rope_type', /"dynamic"/],
    [{ rope_parameters: { rope_type: 'longrope' } }, 'rope_parameters.rope_type', /"longrope"/],
    [{ rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } }, 'rope_parameters.partial_rotary_factor', /whole heads/],
    [{ architectures: ['MistralForCausalLM'], sliding_window: 1024 }, 'sliding_window', /is 1024, less than/],
    [{ architectures: ['MistralForCausalLM'], max_position_embeddings: 8192 }, 'sliding_window', /absent, which means 4096/],
    [{ architectures: ['Qwen2ForCausalLM'], use_sliding_window: true, sliding_window: 4096 }, 'use_sliding_window', /full attention/],
    [{ architectures: ['Qwen3ForCausalLM'], use_sliding_window: true }, 'use_sliding_window', /full attention/],
    [{ layer_types: ['full_attention', 'sliding_attention'] }, 'layer_types', /sliding_attention/],
  ]
  for (const [overrides, field, message] of cases) assertRefused(() => parse(overrides), field, message)
})

test('a window that covers every position, or is switched off, is no window', () => {
  parse({ architectures: ['MistralForCausalLM'], sliding_window: null })
  parse({ architectures: ['MistralForCausalLM'], sliding_window: 4096, max_position_embeddings: 4096 })
  parse({ architectures: ['Qwen2ForCausalLM'], use_sliding_window: false, sliding_window: 1024, layer_types: ['full_attention', 'full_attention'] })
  parse({ architectures: ['Qwen3ForCausalLM'], use_sliding_window: true, sliding_window: null })
  parse({ sliding_window: 16 })
})

function assertRefused(work: () => unknown, field: string, message: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof CheckpointError, String(error))
    assert.equal(error.field, field, error.message)
    assert.equal(error.file, '/m/config.json')
    assert.match(error.message, message)
    return true
  })
}
