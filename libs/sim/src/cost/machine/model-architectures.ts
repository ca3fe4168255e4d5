// Shapes of the models that simulated instances serve, 16-bit weights and KV, from their published configurations.

export interface ModelArchitecture {
  readonly name: string
  readonly numLayers: number
  readonly hiddenSize: number
  /** Width of the feed-forward part. */
  readonly ffnSize: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly vocabSize: number
  /** Its feed-forward part has a gate beside the up projection. */
  readonly hasGatedMlp: boolean
  /** The output head is the embedding. */
  readonly hasTiedEmbedding: boolean
  /** Context that it was published with, in tokens; experiments have served more. */
  readonly maxPositions: number
}

const BYTES_PER_NUMBER = 2
const HEAD_DIM = 128

type LlamaShape = Pick<ModelArchitecture, 'name' | 'numLayers' | 'hiddenSize' | 'ffnSize' | 'numHeads' | 'numKvHeads' | 'vocabSize' | 'maxPositions'>

function llama(shape: LlamaShape): ModelArchitecture {
  return { ...shape, headDim: HEAD_DIM, hasGatedMlp: true, hasTiedEmbedding: false }
}

/** Multi-head attention, ungated feed-forward part of four times the width, tied embedding: OPT and BLOOM. */
function classic(shape: Omit<LlamaShape, 'ffnSize' | 'numKvHeads' | 'maxPositions'>): ModelArchitecture {
  const { hiddenSize, numHeads } = shape
  return { ...shape, ffnSize: 4 * hiddenSize, numKvHeads: numHeads, headDim: hiddenSize / numHeads, hasGatedMlp: false, hasTiedEmbedding: true, maxPositions: 2048 }
}

const TABLE: readonly ModelArchitecture[] = [
  llama({ name: 'llama2-7b', numLayers: 32, hiddenSize: 4096, ffnSize: 11008, numHeads: 32, numKvHeads: 32, vocabSize: 32000, maxPositions: 4096 }),
  llama({ name: 'codellama-34b', numLayers: 48, hiddenSize: 8192, ffnSize: 22016, numHeads: 64, numKvHeads: 8, vocabSize: 32000, maxPositions: 16384 }),
  llama({ name: 'llama2-70b', numLayers: 80, hiddenSize: 8192, ffnSize: 28672, numHeads: 64, numKvHeads: 8, vocabSize: 32000, maxPositions: 4096 }),
  llama({ name: 'llama3-8b', numLayers: 32, hiddenSize: 4096, ffnSize: 14336, numHeads: 32, numKvHeads: 8, vocabSize: 128256, maxPositions: 8192 }),
  llama({ name: 'mistral-7b', numLayers: 32, hiddenSize: 4096, ffnSize: 14336, numHeads: 32, numKvHeads: 8, vocabSize: 32000, maxPositions: 32768 }),
  llama({ name: 'yi-34b', numLayers: 60, hiddenSize: 7168, ffnSize: 20480, numHeads: 56, numKvHeads: 8, vocabSize: 64000, maxPositions: 4096 }),
  classic({ name: 'opt-13b', numLayers: 40, hiddenSize: 5120, numHeads: 40, vocabSize: 50272 }),
  classic({ name: 'opt-66b', numLayers: 64, hiddenSize: 9216, numHeads: 72, vocabSize: 50272 }),
  classic({ name: 'bloom-176b', numLayers: 70, hiddenSize: 14336, numHeads: 112, vocabSize: 250880 }),
]

const BY_NAME = new Map(TABLE.map((model) => [model.name, model]))

export const MODEL_NAMES: readonly string[] = TABLE.map(({ name }) => name)

/** undefined: there is none of this name. */
export function modelNamed(name: string): ModelArchitecture | undefined {
  return BY_NAME.get(name)
}

/** What one layer's operators depend on. */
export type LayerShape = Pick<ModelArchitecture, 'hiddenSize' | 'ffnSize' | 'numHeads' | 'numKvHeads' | 'headDim' | 'hasGatedMlp'>

/** Weights of one layer's projections, in elements. */
export interface LayerWeights {
  readonly qkv: number
  readonly attentionOut: number
  /** The gate included. */
  readonly mlpUp: number
  readonly mlpDown: number
}

export function layerWeights({ hiddenSize, ffnSize, numHeads, numKvHeads, headDim, hasGatedMlp }: LayerShape): LayerWeights {
  return {
    qkv: hiddenSize * (numHeads + 2 * numKvHeads) * headDim,
    attentionOut: hiddenSize * numHeads * headDim,
    mlpUp: hiddenSize * ffnSize * (hasGatedMlp ? 2 : 1),
    mlpDown: hiddenSize * ffnSize,
  }
}

export function layerWeightCount(model: LayerShape): number {
  const { qkv, attentionOut, mlpUp, mlpDown } = layerWeights(model)
  return qkv + attentionOut + mlpUp + mlpDown
}

/** Of the output head over all devices. */
export function headBytes({ vocabSize, hiddenSize }: ModelArchitecture): number {
  return vocabSize * hiddenSize * BYTES_PER_NUMBER
}

/** Of the whole model over all devices; norms, biases and position embeddings are left out. */
export function weightBytes(model: ModelArchitecture): number {
  const embeddings = model.vocabSize * model.hiddenSize * (model.hasTiedEmbedding ? 1 : 2)
  return (model.numLayers * layerWeightCount(model) + embeddings) * BYTES_PER_NUMBER
}

/** Keys and values of one token in all layers, over all devices. */
export function kvBytesPerToken({ numLayers, numKvHeads, headDim }: ModelArchitecture): number {
  return 2 * numLayers * numKvHeads * headDim * BYTES_PER_NUMBER
}

/** Attention of one (query, key) pair in all layers: scores and their product with the values, over all devices. */
export function pairFlops({ numLayers, numHeads, headDim }: ModelArchitecture): number {
  return 4 * numLayers * numHeads * headDim
}
