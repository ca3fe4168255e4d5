// A draft's weights as its kernels read them: float32, transposed into panels of 16 columns, products of the same input as one.
import { readFileSync } from 'node:fs'
import type { Checkpoint } from '../../checkpoint/checkpoint.ts'
import { toFloat32 } from '../../quantization/half.ts'
import { paddedWidth } from '../kernels/kernel-memory.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import { PANEL_COLUMNS } from '../kernels/matmul-kernel.ts'

/** y = x W^T + b; all places are float indices of the kernel memory. */
export interface PackedLinear {
  readonly panels: number
  readonly numPanels: number
  /** Floats of a row of x, zeros behind its width included. */
  readonly inner: number
  /** Biases, or zeros, of every output. */
  readonly bias: number
  readonly hasBias: boolean
}

export interface LayerWeights {
  readonly inputNorm: number
  /** Queries, keys and values one after the other. */
  readonly qkv: PackedLinear
  /** Over each head of queries and keys; null where the family has none. */
  readonly headNorms: { readonly q: number; readonly k: number } | null
  readonly output: PackedLinear
  readonly postNorm: number
  /** Gate, padded, then up, padded. */
  readonly gateUp: PackedLinear
  readonly down: PackedLinear
}

export interface DecoderWeights {
  /** [vocab, hidden], outside the kernel memory. */
  readonly embedding: Float32Array
  readonly layers: readonly LayerWeights[]
  readonly norm: number
  readonly head: PackedLinear
}

/** Reads every weight of a checkpoint into `memory`. */
export function packWeights(checkpoint: Checkpoint, memory: KernelMemory): DecoderWeights {
  const { config, tensors } = checkpoint
  const files = new Map<string, Buffer>()
  const read = (name: string): Float32Array => {
    const at = tensors.get(name)
    if (at === undefined) throw new Error(`weight ${name} was not loaded with the checkpoint`)
    const file = files.get(at.file) ?? readFileSync(at.file)
    files.set(at.file, file)
    return toFloat32(new Uint8Array(file.buffer, file.byteOffset + at.offsetBytes, at.sizeBytes), at.dtype)
  }
  const linear = (parts: readonly Part[], inWidth: number): PackedLinear => packLinear(parts, inWidth, memory)
  const projection = (name: string, padded = false): Part => {
    const bias = tensors.has(`${name}.bias`) ? read(`${name}.bias`) : null
    return { weight: read(`${name}.weight`), bias, padded }
  }
  const layer = (prefix: string): LayerWeights => ({
    inputNorm: memory.put(read(`${prefix}.input_layernorm.weight`)),
    qkv: linear(['q_proj', 'k_proj', 'v_proj'].map((name) => projection(`${prefix}.self_attn.${name}`)), config.hiddenSize),
    headNorms: config.qkNorm ? { q: memory.put(read(`${prefix}.self_attn.q_norm.weight`)), k: memory.put(read(`${prefix}.self_attn.k_norm.weight`)) } : null,
    output: linear([projection(`${prefix}.self_attn.o_proj`)], config.numHeads * config.headDim),
    postNorm: memory.put(read(`${prefix}.post_attention_layernorm.weight`)),
    gateUp: linear([projection(`${prefix}.mlp.gate_proj`, true), projection(`${prefix}.mlp.up_proj`, true)], config.hiddenSize),
    down: linear([projection(`${prefix}.mlp.down_proj`)], config.intermediateSize),
  })
  const embedding = read('model.embed_tokens.weight').slice()
  const head = config.tiedEmbeddings ? embedding : read('lm_head.weight')
  return {
    embedding,
    layers: Array.from({ length: config.numLayers }, (_, index) => layer(`model.layers.${index}`)),
    norm: memory.put(read('model.norm.weight')),
    head: linear([{ weight: head, bias: null, padded: false }], config.hiddenSize),
  }
}

/** [outputs, inWidth] row-major; `padded` fills its outputs up to whole panels. */
interface Part {
  readonly weight: Float32Array
  readonly bias: Float32Array | null
  readonly padded: boolean
}

function packLinear(parts: readonly Part[], inWidth: number, memory: KernelMemory): PackedLinear {
  const outWidths = parts.map(({ weight, padded }) => (padded ? paddedWidth(weight.length / inWidth) : weight.length / inWidth))
  const outWidth = paddedWidth(outWidths.reduce((sum, width) => sum + width, 0))
  const inner = paddedWidth(inWidth)
  const panels = memory.take(outWidth * inner)
  const bias = memory.take(outWidth)
  const floats = memory.floats()
  let first = 0
  for (const [index, part] of parts.entries()) {
    floats.set(part.bias ?? [], bias + first)
    for (let row = 0; row * inWidth < part.weight.length; row += 1) {
      const column = first + row
      const to = panels + (column - (column % PANEL_COLUMNS)) * inner + (column % PANEL_COLUMNS)
      for (let i = 0; i < inWidth; i += 1) floats[to + i * PANEL_COLUMNS] = part.weight[row * inWidth + i]!
    }
    first += outWidths[index]!
  }
  return { panels, numPanels: outWidth / PANEL_COLUMNS, inner, bias, hasBias: parts.some((part) => part.bias !== null) }
}
