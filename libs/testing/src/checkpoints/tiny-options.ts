// What a random checkpoint looks like: its options, their defaults, and the shapes that measurements are quoted for.

export type TinyArchitecture = 'LlamaForCausalLM' | 'MistralForCausalLM' | 'Qwen2ForCausalLM' | 'Qwen3ForCausalLM'
export type TinyDtype = 'float32' | 'float16' | 'bfloat16'

export interface TinyCheckpointOptions {
  readonly architecture?: TinyArchitecture
  readonly dtype?: TinyDtype
  /** Head shares the embedding. */
  readonly tied?: boolean
  readonly hiddenSize?: number
  readonly intermediateSize?: number
  readonly numLayers?: number
  readonly numHeads?: number
  readonly numKvHeads?: number
  /** `derived` leaves head_dim out of config.json (then hiddenSize / numHeads). */
  readonly headDim?: number | 'derived'
  readonly vocabSize?: number
  readonly maxPositions?: number
  readonly ropeTheta?: number
  /** As in config.json, e.g. `{ rope_type: 'linear', factor: 4 }`. */
  readonly ropeScaling?: Readonly<Record<string, string | number>> | null
  /** Llama, Qwen3: biases on q, k, v and o. */
  readonly attentionBias?: boolean
  /** Llama: biases in the MLP. */
  readonly mlpBias?: boolean
  /** Two shards and an index instead of one file. */
  readonly sharded?: boolean
  /** `classic`: torch_dtype, rope_theta, rope_scaling. `modern`: dtype, rope_parameters. */
  readonly spelling?: 'classic' | 'modern'
  readonly eosTokenId?: number | readonly number[]
  /** Copies the tokenizer of the bundled target model; needs vocabSize 1024 (then the default). */
  readonly tokenizer?: boolean
  /** Replaces fields of config.json at the end; undefined removes one. */
  readonly configOverrides?: Readonly<Record<string, unknown>>
  /** Drives every weight. */
  readonly seed?: number
}

export type TinyShape = Required<Omit<TinyCheckpointOptions, 'headDim'>> & { readonly headDim: number; readonly writesHeadDim: boolean }

const TOKENIZER_VOCAB = 1024

/** Fills in the defaults: 2 layers of width 64, 4 heads over 2 KV heads of 16, vocabulary 160. */
export function resolveShape(options: TinyCheckpointOptions): TinyShape {
  const tokenizer = options.tokenizer ?? false
  const hiddenSize = options.hiddenSize ?? 64
  const numHeads = options.numHeads ?? 4
  const headDim = options.headDim ?? 16
  const vocabSize = options.vocabSize ?? (tokenizer ? TOKENIZER_VOCAB : 160)
  if (tokenizer && vocabSize < TOKENIZER_VOCAB) throw new Error(`the bundled tokenizer needs vocabSize >= ${TOKENIZER_VOCAB}, got ${vocabSize}`)
  return {
    architecture: 'LlamaForCausalLM',
    dtype: 'float32',
    tied: false,
    intermediateSize: 96,
    numLayers: 2,
    numKvHeads: 2,
    maxPositions: 4096,
    ropeTheta: 10000,
    ropeScaling: null,
    attentionBias: false,
    mlpBias: false,
    sharded: false,
    spelling: 'classic',
    eosTokenId: 0,
    configOverrides: {},
    seed: 1,
    ...options,
    hiddenSize,
    numHeads,
    vocabSize,
    tokenizer,
    headDim: headDim === 'derived' ? hiddenSize / numHeads : headDim,
    writesHeadDim: headDim !== 'derived',
  }
}

/** Shapes that measurements are quoted for: S about 13 M parameters when tied, M about 386 M. */
export const NAMED_SHAPES = {
  S: { hiddenSize: 384, numLayers: 8, numHeads: 6, numKvHeads: 2, headDim: 64, intermediateSize: 1024, vocabSize: 2048 },
  M: { hiddenSize: 896, numLayers: 24, numHeads: 14, numKvHeads: 2, headDim: 64, intermediateSize: 4864, vocabSize: 32000 },
} as const satisfies Record<string, TinyCheckpointOptions>
