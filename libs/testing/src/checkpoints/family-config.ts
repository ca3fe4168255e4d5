// config.json as each family's own checkpoints spell it.
import type { TinyArchitecture, TinyShape } from './tiny-options.ts'

const MODEL_TYPES: Readonly<Record<TinyArchitecture, string>> = {
  LlamaForCausalLM: 'llama',
  MistralForCausalLM: 'mistral',
  Qwen2ForCausalLM: 'qwen2',
  Qwen3ForCausalLM: 'qwen3',
}

/** The object to write as config.json. */
export function familyConfig(shape: TinyShape): Record<string, unknown> {
  const config: Record<string, unknown> = {
    architectures: [shape.architecture],
    model_type: MODEL_TYPES[shape.architecture],
    vocab_size: shape.vocabSize,
    hidden_size: shape.hiddenSize,
    intermediate_size: shape.intermediateSize,
    num_hidden_layers: shape.numLayers,
    num_attention_heads: shape.numHeads,
    num_key_value_heads: shape.numKvHeads,
    ...(shape.writesHeadDim ? { head_dim: shape.headDim } : {}),
    hidden_act: 'silu',
    max_position_embeddings: shape.maxPositions,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: shape.tied,
    bos_token_id: 0,
    eos_token_id: shape.eosTokenId,
    ...numericFields(shape),
    ...familyFields(shape),
  }
  for (const [key, value] of Object.entries(shape.configOverrides)) {
    if (value === undefined) delete config[key]
    else config[key] = value
  }
  return config
}

function numericFields(shape: TinyShape): Record<string, unknown> {
  if (shape.spelling === 'classic') return { torch_dtype: shape.dtype, rope_theta: shape.ropeTheta, rope_scaling: shape.ropeScaling }
  return { dtype: shape.dtype, rope_parameters: { rope_type: 'default', rope_theta: shape.ropeTheta, ...shape.ropeScaling } }
}

function familyFields(shape: TinyShape): Record<string, unknown> {
  switch (shape.architecture) {
    case 'LlamaForCausalLM':
      return { attention_bias: shape.attentionBias, mlp_bias: shape.mlpBias, pretraining_tp: 1 }
    case 'MistralForCausalLM':
      return { sliding_window: null }
    case 'Qwen2ForCausalLM':
      return { use_sliding_window: false, sliding_window: 4096, max_window_layers: shape.numLayers }
    case 'Qwen3ForCausalLM':
      return { attention_bias: shape.attentionBias, use_sliding_window: false, sliding_window: null, max_window_layers: shape.numLayers }
  }
}
