// A checkpoint as the graph builder sees it: the model's shape in one vocabulary, and where each weight lies on disk.

export type WeightDtype = 'float32' | 'float16' | 'bfloat16'

export interface RopeScalingLlama3 {
  readonly kind: 'llama3'
  readonly factor: number
  readonly lowFreqFactor: number
  readonly highFreqFactor: number
  readonly originalMaxPositions: number
}
export type RopeScaling = { readonly kind: 'none' } | { readonly kind: 'linear'; readonly factor: number } | RopeScalingLlama3

/** The shape of a Llama-family decoder, whatever its config.json called things. */
export interface ModelConfig {
  readonly architecture: 'LlamaForCausalLM' | 'MistralForCausalLM' | 'Qwen2ForCausalLM' | 'Qwen3ForCausalLM'
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly numLayers: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly rmsNormEps: number
  readonly ropeTheta: number
  readonly ropeScaling: RopeScaling
  readonly maxPositions: number
  readonly tiedEmbeddings: boolean
  /** Bias on q, k and v projections (Qwen2, or attention_bias). */
  readonly qkvBias: boolean
  /** Bias on the output projection (attention_bias of Llama). */
  readonly outputBias: boolean
  readonly mlpBias: boolean
  /** RMS norm over each head of q and k before rotation (Qwen3). */
  readonly qkNorm: boolean
  readonly bosTokenId: number | null
  readonly eosTokenIds: readonly number[]
}

/** One weight inside a .safetensors file. */
export interface TensorLocation {
  /** Hugging Face name, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string
  readonly dtype: WeightDtype
  readonly shape: readonly number[]
  /** Absolute path of the .safetensors file. */
  readonly file: string
  /** Absolute byte offset within the file. */
  readonly offsetBytes: number
  readonly sizeBytes: number
}

export interface Checkpoint {
  /** Absolute directory. */
  readonly dir: string
  readonly config: ModelConfig
  /** Keyed by Hugging Face name; exactly the tensors the architecture needs, shapes checked. */
  readonly tensors: ReadonlyMap<string, TensorLocation>
  readonly numParameters: number
}
