// The tensors of a random checkpoint and how large their values are.
import type { TinyShape } from './tiny-options.ts'

/** Values are drawn as mean + std * normal. */
export interface RandomTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly mean: number
  readonly std: number
}

const BIAS_STD = 0.1
const NORM_STD = 0.1

/** Every tensor of the shape, scaled so that projections keep unit variance and logits have a standard deviation around 1. */
export function randomTensors(shape: TinyShape): readonly RandomTensor[] {
  const embedding = matrix('model.embed_tokens', shape.vocabSize, shape.hiddenSize)
  const layers = Array.from({ length: shape.numLayers }, (_, layer) => layerTensors(shape, `model.layers.${layer}`))
  const head = shape.tied ? [] : [matrix('lm_head', shape.vocabSize, shape.hiddenSize)]
  return [embedding, ...layers.flat(), norm('model.norm', shape.hiddenSize), ...head]
}

function layerTensors(shape: TinyShape, prefix: string): RandomTensor[] {
  const { architecture, hiddenSize, intermediateSize, headDim } = shape
  const knowsAttentionBias = architecture === 'LlamaForCausalLM' || architecture === 'Qwen3ForCausalLM'
  const outputBias = knowsAttentionBias && shape.attentionBias
  const qkvBias = outputBias || architecture === 'Qwen2ForCausalLM'
  const mlpBias = architecture === 'LlamaForCausalLM' && shape.mlpBias
  const queryWidth = shape.numHeads * headDim
  const kvWidth = shape.numKvHeads * headDim
  const attention = `${prefix}.self_attn`
  const headNorms = architecture === 'Qwen3ForCausalLM' ? [norm(`${attention}.q_norm`, headDim), norm(`${attention}.k_norm`, headDim)] : []
  return [
    norm(`${prefix}.input_layernorm`, hiddenSize),
    ...linear(`${attention}.q_proj`, queryWidth, hiddenSize, qkvBias),
    ...linear(`${attention}.k_proj`, kvWidth, hiddenSize, qkvBias),
    ...linear(`${attention}.v_proj`, kvWidth, hiddenSize, qkvBias),
    ...linear(`${attention}.o_proj`, hiddenSize, queryWidth, outputBias),
    ...headNorms,
    norm(`${prefix}.post_attention_layernorm`, hiddenSize),
    ...linear(`${prefix}.mlp.gate_proj`, intermediateSize, hiddenSize, mlpBias),
    ...linear(`${prefix}.mlp.up_proj`, intermediateSize, hiddenSize, mlpBias),
    ...linear(`${prefix}.mlp.down_proj`, hiddenSize, intermediateSize, mlpBias),
  ]
}

function linear(name: string, outWidth: number, inWidth: number, bias: boolean): RandomTensor[] {
  const weight = matrix(name, outWidth, inWidth)
  return bias ? [weight, { name: `${name}.bias`, shape: [outWidth], mean: 0, std: BIAS_STD }] : [weight]
}

function matrix(name: string, outWidth: number, inWidth: number): RandomTensor {
  return { name: `${name}.weight`, shape: [outWidth, inWidth], mean: 0, std: 1 / Math.sqrt(inWidth) }
}

function norm(name: string, width: number): RandomTensor {
  return { name: `${name}.weight`, shape: [width], mean: 1, std: NORM_STD }
}
