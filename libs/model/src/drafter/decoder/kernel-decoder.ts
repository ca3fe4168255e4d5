// A small Llama-family decoder in plain calls of the kernels: a level of a draft costs its arithmetic and little else.
//
// 1. A layer writes the KV of all rows of a run before any of them attends: rows may attend to each other.
// 2. Buffers are reused: one call at a time, and logits live until the next one.
import type { Checkpoint, ModelConfig } from '../../checkpoint/checkpoint.ts'
import { KernelMemory, paddedWidth } from '../kernels/kernel-memory.ts'
import { compileKernels } from '../kernels/kernels.ts'
import { packWeights } from './kernel-weights.ts'
import type { DecoderWeights, LayerWeights } from './kernel-weights.ts'
import { PagedAttention, takeAttentionRoom } from './paged-attention.ts'
import type { Extent, KvShape } from './paged-attention.ts'
import { RowMath } from './row-math.ts'

/** Most rows of a run. */
export const MAX_ROWS = 64

export interface DecoderRow {
  readonly tokenId: number
  readonly position: number
  /** Where its KV goes. */
  readonly place: number
  /** What it attends to, itself included. */
  readonly extents: readonly Extent[]
}

/** Float indices of the activations, [MAX_ROWS, padded width] each. */
interface Buffers {
  readonly residual: number
  readonly normed: number
  readonly qkv: number
  readonly attended: number
  readonly gateUp: number
  readonly gated: number
  readonly logits: number
}

/** Padded widths of the activations. */
interface Widths {
  readonly hidden: number
  readonly qkv: number
  readonly attended: number
  readonly gated: number
  readonly logits: number
}

function widthsOf(config: ModelConfig): Widths {
  const { hiddenSize, numHeads, numKvHeads, headDim, intermediateSize, vocabSize } = config
  return {
    hidden: paddedWidth(hiddenSize),
    qkv: paddedWidth((numHeads + 2 * numKvHeads) * headDim),
    attended: paddedWidth(numHeads * headDim),
    gated: paddedWidth(intermediateSize),
    logits: paddedWidth(vocabSize),
  }
}

function takeBuffers(widths: Widths, memory: KernelMemory): Buffers {
  const rows = (width: number): number => memory.take(MAX_ROWS * width)
  return {
    residual: rows(widths.hidden),
    normed: rows(widths.hidden),
    qkv: rows(widths.qkv),
    attended: rows(widths.attended),
    gateUp: rows(2 * widths.gated),
    gated: rows(widths.gated),
    logits: rows(widths.logits),
  }
}

export class KernelDecoder {
  readonly config: ModelConfig
  /** Of the tokens that rows attend to. */
  readonly kv: PagedAttention
  readonly #weights: DecoderWeights
  readonly #widths: Widths
  readonly #buffers: Buffers
  readonly #floats: Float32Array
  readonly #math: RowMath

  /** Reads the weights. The head size is a multiple of 4. Throws RubatoError `draft_memory` past 2 GiB. */
  constructor(checkpoint: Checkpoint, shape: KvShape) {
    const { config } = checkpoint
    const memory = new KernelMemory()
    this.config = config
    this.#widths = widthsOf(config)
    this.#buffers = takeBuffers(this.#widths, memory)
    this.#weights = packWeights(checkpoint, memory)
    const room = takeAttentionRoom(config, shape, memory)
    const kernels = compileKernels(config, memory.memory)
    this.#floats = memory.floats()
    this.#math = new RowMath(kernels, this.#floats, config.hiddenSize)
    this.kv = new PagedAttention(config, shape, { room, kernels, floats: this.#floats })
  }

  /** Computes at most MAX_ROWS rows, the first `numSilent` of them for their KV alone. */
  run(rows: readonly DecoderRow[], numSilent: number): void {
    if (rows.length > MAX_ROWS) throw new Error(`a run has ${rows.length} rows, at most ${MAX_ROWS} are possible`)
    const { residual, normed, logits } = this.#buffers
    const { layers, norm, head } = this.#weights
    const wanted = { from: numSilent, to: rows.length }
    for (const [index, { tokenId }] of rows.entries()) this.#embed(tokenId, index)
    for (const index of layers.keys()) this.#layer(index, rows, index === layers.length - 1 ? numSilent : 0)
    this.#math.norm(residual, norm, normed, wanted)
    this.#math.product(normed, head, logits, wanted)
  }

  /** Logits of a row of the last run that was not silent, `[vocabSize]`. */
  logits(row: number): Float32Array {
    const at = this.#buffers.logits + row * this.#widths.logits
    return this.#floats.subarray(at, at + this.config.vocabSize)
  }

  #embed(tokenId: number, row: number): void {
    const { hiddenSize } = this.config
    const embedding = this.#weights.embedding.subarray(tokenId * hiddenSize, (tokenId + 1) * hiddenSize)
    this.#floats.set(embedding, this.#buffers.residual + row * this.#widths.hidden)
  }

  /** One layer; once the KV of all rows is there, those from `from` on go through. */
  #layer(index: number, rows: readonly DecoderRow[], from: number): void {
    const weights: LayerWeights = this.#weights.layers[index]!
    const { residual, normed, qkv, attended, gateUp, gated } = this.#buffers
    const all = { from: 0, to: rows.length }
    const through = { from, to: rows.length }
    this.#math.norm(residual, weights.inputNorm, normed, all)
    this.#math.product(normed, weights.qkv, qkv, all)
    for (const [place, row] of rows.entries()) this.kv.store(index, weights.headNorms, qkv + place * this.#widths.qkv, row)
    for (let row = from; row < rows.length; row += 1) {
      this.kv.attend(index, qkv + row * this.#widths.qkv, attended + row * this.#widths.attended, rows[row]!.extents)
    }
    this.#math.addProduct(attended, weights.output, residual, through)
    this.#math.norm(residual, weights.postNorm, normed, through)
    this.#math.product(normed, weights.gateUp, gateUp, through)
    this.#math.gate(gateUp, gated, this.#widths.gated, through)
    this.#math.addProduct(gated, weights.down, residual, through)
  }
}
