// The tensors a Llama-family decoder consists of, by Hugging Face name and shape ([out, in] for projections).
import type { ModelConfig } from '../checkpoint.ts'

export interface RequiredTensor {
  readonly name: string
  readonly shape: readonly number[]
}

/** Every tensor that `config` calls for, in forward order; lazily, so that an absurd layer count fails at its first missing tensor. */
export function* requiredTensors(config: ModelConfig): Generator<RequiredTensor> {
  const { vocabSize, hiddenSize } = config
  yield { name: 'model.embed_tokens.weight', shape: [vocabSize, hiddenSize] }
  for (let layer = 0; layer < config.numLayers; layer++) {
    const prefix = `model.layers.${layer}.`
    yield { name: `${prefix}input_layernorm.weight`, shape: [hiddenSize] }
    yield* attentionTensors(config, `${prefix}self_attn.`)
    yield { name: `${prefix}post_attention_layernorm.weight`, shape: [hiddenSize] }
    yield* mlpTensors(config, `${prefix}mlp.`)
  }
  yield { name: 'model.norm.weight', shape: [hiddenSize] }
  if (!config.tiedEmbeddings) yield { name: 'lm_head.weight', shape: [vocabSize, hiddenSize] }
}

function* attentionTensors(config: ModelConfig, prefix: string): Generator<RequiredTensor> {
  const queryWidth = config.numHeads * config.headDim
  const kvWidth = config.numKvHeads * config.headDim
  yield* projection(`${prefix}q_proj`, [queryWidth, config.hiddenSize], config.qkvBias)
  yield* projection(`${prefix}k_proj`, [kvWidth, config.hiddenSize], config.qkvBias)
  yield* projection(`${prefix}v_proj`, [kvWidth, config.hiddenSize], config.qkvBias)
  yield* projection(`${prefix}o_proj`, [config.hiddenSize, queryWidth], config.outputBias)
  if (!config.qkNorm) return
  yield { name: `${prefix}q_norm.weight`, shape: [config.headDim] }
  yield { name: `${prefix}k_norm.weight`, shape: [config.headDim] }
}

function* mlpTensors(config: ModelConfig, prefix: string): Generator<RequiredTensor> {
  const { hiddenSize, intermediateSize, mlpBias } = config
  yield* projection(`${prefix}gate_proj`, [intermediateSize, hiddenSize], mlpBias)
  yield* projection(`${prefix}up_proj`, [intermediateSize, hiddenSize], mlpBias)
  yield* projection(`${prefix}down_proj`, [hiddenSize, intermediateSize], mlpBias)
}

function* projection(name: string, shape: readonly [number, number], bias: boolean): Generator<RequiredTensor> {
  yield { name: `${name}.weight`, shape }
  if (bias) yield { name: `${name}.bias`, shape: [shape[0]] }
}
