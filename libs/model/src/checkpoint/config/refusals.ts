// What a config.json may ask for that the runtime does not serve, each with what it does serve.
import { CheckpointError } from '@rubato/config'
import type { ModelConfig } from '../checkpoint.ts'
import type { JsonFields } from './json-fields.ts'

export type Architecture = ModelConfig['architecture']

const BY_MODEL_TYPE: ReadonlyMap<string, Architecture> = new Map([
  ['llama', 'LlamaForCausalLM'],
  ['mistral', 'MistralForCausalLM'],
  ['qwen2', 'Qwen2ForCausalLM'],
  ['qwen3', 'Qwen3ForCausalLM'],
])
const ARCHITECTURES: ReadonlySet<string> = new Set(BY_MODEL_TYPE.values())
const SUPPORTED = `supported are ${[...ARCHITECTURES].join(', ')}`
const MODALITIES = ['vision_config', 'audio_config', 'text_config', 'image_token_id', 'image_token_index', 'audio_token_index'] as const
const EXPERT_COUNTS = ['num_local_experts', 'num_experts', 'n_routed_experts', 'moe_num_experts'] as const
const QUANTIZERS: Readonly<Record<string, string>> = { awq: 'AWQ', gptq: 'GPTQ', fp8: 'FP8', fbgemm_fp8: 'FP8', bitsandbytes: 'bitsandbytes' }
const SLIDING_DEFAULT = 4096

/** The name as config.json gives it: the first of `architectures`, else what `model_type` implies, else null. */
export function architectureName(fields: JsonFields): string | null {
  const listed = fields.raw('architectures')
  const first: unknown = Array.isArray(listed) ? listed[0] : undefined
  if (typeof first === 'string') return first
  const modelType = fields.raw('model_type')
  return typeof modelType === 'string' ? (BY_MODEL_TYPE.get(modelType) ?? modelType) : null
}

export function isSupportedArchitecture(name: string | null): name is Architecture {
  return name !== null && ARCHITECTURES.has(name)
}

/** Every reason to refuse this config.json, most telling first; empty when there is none. */
export function findRefusals(fields: JsonFields): CheckpointError[] {
  const checks = [refuseModalities, refuseExperts, refuseArchitecture, refuseQuantization, refuseActivation, refuseSlidingWindow]
  return checks.map((check) => errorOf(() => check(fields))).filter((error) => error !== null)
}

/** A check that stumbles over a malformed field refuses it. */
function errorOf(check: () => CheckpointError | null): CheckpointError | null {
  try {
    return check()
  } catch (error) {
    if (error instanceof CheckpointError) return error
    throw error
  }
}

function refuseModalities(fields: JsonFields): CheckpointError | null {
  const key = MODALITIES.find((name) => fields.has(name))
  return key === undefined ? null : fields.refuse(key, `this is a multimodal checkpoint; ${SUPPORTED} (text only)`)
}

function refuseExperts(fields: JsonFields): CheckpointError | null {
  const key = EXPERT_COUNTS.find((name) => fields.has(name) && fields.raw(name) !== 0)
  return key === undefined ? null : fields.refuse(key, `this is a mixture-of-experts checkpoint; ${SUPPORTED} (dense only)`)
}

function refuseArchitecture(fields: JsonFields): CheckpointError | null {
  const name = architectureName(fields)
  if (isSupportedArchitecture(name)) return null
  return fields.refuse('architectures', name === null ? `is missing; ${SUPPORTED}` : `${JSON.stringify(name)} is not supported; ${SUPPORTED}`)
}

function refuseQuantization(fields: JsonFields): CheckpointError | null {
  const key = ['quantization_config', 'compression_config'].find((name) => fields.has(name))
  if (key === undefined) return null
  const given = fields.object(key)
  const method = given?.raw('quant_method') ?? (given?.raw('load_in_4bit') === true || given?.raw('load_in_8bit') === true ? 'bitsandbytes' : 'an unnamed method')
  const name = typeof method === 'string' ? (QUANTIZERS[method.toLowerCase()] ?? method) : JSON.stringify(method)
  return fields.refuse(key, `weights are quantized with ${name}; supported are float32, float16 and bfloat16 weights (--quantization int8 quantizes those at load)`)
}

function refuseActivation(fields: JsonFields): CheckpointError | null {
  const activation = fields.raw('hidden_act') ?? 'silu'
  if (activation === 'silu' || activation === 'swish') return null
  return fields.refuse('hidden_act', `is ${JSON.stringify(activation)}; supported is silu`)
}

function refuseSlidingWindow(fields: JsonFields): CheckpointError | null {
  const layerTypes = fields.raw('layer_types')
  const other: unknown = Array.isArray(layerTypes) ? layerTypes.find((kind) => kind !== 'full_attention') : undefined
  if (other !== undefined) return fields.refuse('layer_types', `holds ${JSON.stringify(other)}; supported is full_attention on every layer`)
  const architecture = architectureName(fields)
  if (architecture === 'MistralForCausalLM') return refuseMistralWindow(fields)
  const isQwen = architecture === 'Qwen2ForCausalLM' || architecture === 'Qwen3ForCausalLM'
  // A null window leaves full attention even when the switch is on; Llama has neither field and ignores them.
  if (!isQwen || fields.raw('use_sliding_window') !== true || fields.raw('sliding_window') === null) return null
  return fields.refuse('use_sliding_window', 'is true; supported is full attention (use_sliding_window false)')
}

/** Mistral's window is on unless it is null; Hugging Face reads an absent one as 4096. */
function refuseMistralWindow(fields: JsonFields): CheckpointError | null {
  const window = fields.raw('sliding_window') === undefined ? SLIDING_DEFAULT : fields.integer('sliding_window', 1)
  const maxPositions = fields.integer('max_position_embeddings', 1)
  if (window === null || (maxPositions !== null && window >= maxPositions)) return null
  const given = fields.has('sliding_window') ? `is ${window}` : `is absent, which means ${window}`
  return fields.refuse('sliding_window', `${given}, less than max_position_embeddings ${maxPositions ?? '(absent)'}; supported is full attention (sliding_window null)`)
}
