// From config.json (and generation_config.json) to ModelConfig, with Hugging Face's own defaults for absent fields.
import path from 'node:path'
import { CheckpointError } from '@rubato/config'
import type { ModelConfig } from '../checkpoint.ts'
import { readJsonFields } from './json-fields.ts'
import type { JsonFields } from './json-fields.ts'
import { architectureName, findRefusals, isSupportedArchitecture } from './refusals.ts'
import type { Architecture } from './refusals.ts'
import { parseRope } from './rope.ts'

const DEFAULT_MAX_POSITIONS: Readonly<Record<Architecture, number>> = {
  LlamaForCausalLM: 2048,
  MistralForCausalLM: 131072,
  Qwen2ForCausalLM: 32768,
  Qwen3ForCausalLM: 32768,
}
const DEFAULT_RMS_NORM_EPS = 1e-6
const QWEN3_HEAD_DIM = 128

/** Reads and checks the model's shape. Throws CheckpointError naming the file and the field. */
export async function readModelConfig(dir: string): Promise<ModelConfig> {
  const file = path.join(dir, 'config.json')
  const fields = await readJsonFields(file)
  if (fields === null) throw new CheckpointError(file, 'file', 'is missing')
  return parseModelConfig(fields, await readJsonFields(path.join(dir, 'generation_config.json')))
}

/** As readModelConfig, on files already read. `generation` adds its end-of-sequence ids. */
export function parseModelConfig(fields: JsonFields, generation: JsonFields | null): ModelConfig {
  const [refusal] = findRefusals(fields)
  if (refusal !== undefined) throw refusal
  const architecture = architectureName(fields)
  if (!isSupportedArchitecture(architecture)) throw fields.refuse('architectures', 'is missing')
  const vocabSize = fields.positiveInteger('vocab_size')
  const rope = parseRope(fields)
  return {
    architecture,
    vocabSize,
    hiddenSize: fields.positiveInteger('hidden_size'),
    intermediateSize: fields.positiveInteger('intermediate_size'),
    numLayers: fields.positiveInteger('num_hidden_layers'),
    ...parseHeads(fields, architecture),
    rmsNormEps: fields.positive('rms_norm_eps', DEFAULT_RMS_NORM_EPS),
    ropeTheta: rope.theta,
    ropeScaling: rope.scaling,
    maxPositions: fields.positiveInteger('max_position_embeddings', DEFAULT_MAX_POSITIONS[architecture]),
    tiedEmbeddings: fields.flag('tie_word_embeddings', false),
    ...parseBiases(fields, architecture),
    qkNorm: architecture === 'Qwen3ForCausalLM',
    bosTokenId: fields.tokenIds('bos_token_id')[0] ?? null,
    eosTokenIds: mergeEos(vocabSize, fields, generation),
  }
}

function parseHeads(fields: JsonFields, architecture: Architecture): Pick<ModelConfig, 'numHeads' | 'numKvHeads' | 'headDim'> {
  const hiddenSize = fields.positiveInteger('hidden_size')
  const numHeads = fields.positiveInteger('num_attention_heads')
  const numKvHeads = fields.positiveInteger('num_key_value_heads', numHeads)
  if (numHeads % numKvHeads !== 0) throw fields.refuse('num_key_value_heads', `is ${numKvHeads}, which does not divide num_attention_heads ${numHeads}`)
  const given = fields.integer('head_dim', 1) ?? (architecture === 'Qwen3ForCausalLM' ? QWEN3_HEAD_DIM : null)
  if (given === null && hiddenSize % numHeads !== 0)
    throw fields.refuse('num_attention_heads', `is ${numHeads}, which does not divide hidden_size ${hiddenSize}, and head_dim is not given`)
  const headDim = given ?? hiddenSize / numHeads
  if (headDim % 2 !== 0) throw fields.refuse('head_dim', `is ${headDim}; rotary embedding needs an even number`)
  return { numHeads, numKvHeads, headDim }
}

/** Where each family has biases; a field that a family does not know is not read (the tensor list shows a mismatch). */
function parseBiases(fields: JsonFields, architecture: Architecture): Pick<ModelConfig, 'qkvBias' | 'outputBias' | 'mlpBias'> {
  switch (architecture) {
    case 'LlamaForCausalLM': {
      const attentionBias = fields.flag('attention_bias', false)
      return { qkvBias: attentionBias, outputBias: attentionBias, mlpBias: fields.flag('mlp_bias', false) }
    }
    case 'MistralForCausalLM':
      return { qkvBias: false, outputBias: false, mlpBias: false }
    case 'Qwen2ForCausalLM':
      return { qkvBias: true, outputBias: false, mlpBias: false }
    case 'Qwen3ForCausalLM': {
      const attentionBias = fields.flag('attention_bias', false)
      return { qkvBias: attentionBias, outputBias: attentionBias, mlpBias: false }
    }
  }
}

/** Ids of both files, each once, ascending. Ids past the vocabulary can never be produced and are left out. */
function mergeEos(vocabSize: number, fields: JsonFields, generation: JsonFields | null): readonly number[] {
  const ids = [...fields.tokenIds('eos_token_id'), ...(generation?.tokenIds('eos_token_id') ?? [])]
  return [...new Set(ids)].filter((id) => id < vocabSize).toSorted((left, right) => left - right)
}
