// Paged KV of the draft decoder, and attention of single rows over it.
//
// Layout: [layer][keys, values][block][kvHeads, blockSize, headDim]. A token's KV is named by its place, the float index of
// its first key within a plane: block * kvHeads * blockSize * headDim + offset * headDim.
import type { ModelConfig } from '../../checkpoint/checkpoint.ts'
import { ropeTables } from '../../graph/rope.ts'
import type { KernelMemory } from '../kernels/kernel-memory.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { LayerWeights } from './kernel-weights.ts'
import { FLOAT_BYTES } from './row-math.ts'

/** A score that leaves no probability. */
const IMPOSSIBLE = -1e30
/** The scores kernel reads keys and writes scores, and softmax reads, by fours; behind a layer's keys lie its values. */
const SCORE_MARGIN = 4

export interface KvShape {
  readonly blockSize: number
  readonly numBlocks: number
  /** Most tokens that a row attends to, and one past the greatest position. */
  readonly maxTokens: number
}

/** Where the parts of attention lie in the kernel memory. */
export interface AttentionRoom {
  readonly kv: number
  /** Of two heads. */
  readonly scores: number
}

/** Consecutive tokens of a block: the place of the first, and how many. */
export interface Extent {
  readonly place: number
  readonly count: number
}

export function kvFloats(config: ModelConfig, { blockSize, numBlocks }: Pick<KvShape, 'blockSize' | 'numBlocks'>): number {
  return 2 * config.numLayers * numBlocks * config.numKvHeads * blockSize * config.headDim
}

export function takeAttentionRoom(config: ModelConfig, shape: KvShape, memory: KernelMemory): AttentionRoom {
  return { kv: memory.take(kvFloats(config, shape)), scores: memory.take(2 * (shape.maxTokens + SCORE_MARGIN)) }
}

export class PagedAttention {
  readonly #config: ModelConfig
  readonly #room: AttentionRoom
  readonly #kernels: Kernels
  readonly #floats: Float32Array
  readonly #maxTokens: number
  readonly #headStride: number
  readonly #planeBlock: number
  readonly #planeStride: number
  readonly #rope: ReturnType<typeof ropeTables>

  constructor(config: ModelConfig, shape: KvShape, parts: { readonly room: AttentionRoom; readonly kernels: Kernels; readonly floats: Float32Array }) {
    this.#config = config
    this.#room = parts.room
    this.#kernels = parts.kernels
    this.#floats = parts.floats
    this.#maxTokens = shape.maxTokens
    this.#headStride = shape.blockSize * config.headDim
    this.#planeBlock = config.numKvHeads * this.#headStride
    this.#planeStride = shape.numBlocks * this.#planeBlock
    this.#rope = ropeTables(config, shape.maxTokens)
  }

  placeOf(block: number, offset: number): number {
    return block * this.#planeBlock + offset * this.#config.headDim
  }

  /** Copies a token's KV to another place. */
  move(from: number, to: number): void {
    const { numLayers, numKvHeads, headDim } = this.#config
    for (let plane = 0; plane < 2 * numLayers; plane += 1) {
      for (let head = 0; head < numKvHeads; head += 1) {
        const base = this.#room.kv + plane * this.#planeStride + head * this.#headStride
        this.#floats.copyWithin(base + to, base + from, base + from + headDim)
      }
    }
  }

  /** Norms and rotates the queries of a row in place, and writes its keys, treated alike, and values to their place. */
  store(layer: number, headNorms: LayerWeights['headNorms'], qkv: number, row: { readonly position: number; readonly place: number }): void {
    const { numHeads, numKvHeads, headDim } = this.#config
    const keys = qkv + numHeads * headDim
    const values = keys + numKvHeads * headDim
    if (headNorms !== null) {
      this.#normHeads(qkv, headNorms.q, numHeads)
      this.#normHeads(keys, headNorms.k, numKvHeads)
    }
    const scale = 1 / Math.sqrt(headDim)
    for (let head = 0; head < numHeads; head += 1) this.#rotate(qkv + head * headDim, qkv + head * headDim, row.position, scale)
    for (let head = 0; head < numKvHeads; head += 1) {
      const to = this.#room.kv + 2 * layer * this.#planeStride + row.place + head * this.#headStride
      this.#rotate(keys + head * headDim, to, row.position, 1)
      const value = values + head * headDim
      this.#floats.copyWithin(to + this.#planeStride, value, value + headDim)
    }
  }

  /** Attention of the queries at `qkv` over the tokens in `extents`, to `out`, [heads * headDim]. */
  attend(layer: number, qkv: number, out: number, extents: readonly Extent[]): void {
    const { numHeads, numKvHeads, headDim } = this.#config
    const tokens = extents.reduce((sum, { count }) => sum + count, 0)
    if (tokens > this.#maxTokens) throw new Error(`a draft attends to ${tokens} tokens, at most ${this.#maxTokens} were foreseen`)
    this.#floats.fill(0, out, out + numHeads * headDim)
    const plane = this.#room.kv + 2 * layer * this.#planeStride
    const group = numHeads / numKvHeads
    for (let head = 0; head < numHeads; head += 1) {
      const isPair = head % group < group - 1
      const keys = plane + Math.floor(head / group) * this.#headStride
      this.#attendHeads(keys, { query: qkv + head * headDim, out: out + head * headDim, isPair }, extents)
      if (isPair) head += 1
    }
  }

  /** One head, or two that share a KV head. */
  #attendHeads(keys: number, { query, out, isPair }: { readonly query: number; readonly out: number; readonly isPair: boolean }, extents: readonly Extent[]): void {
    const { scoresOfOne, scoresOfTwo, valuesOfOne, valuesOfTwo } = this.#kernels
    const { scores } = this.#room
    const stride = this.#maxTokens + SCORE_MARGIN
    const values = keys + this.#planeStride
    let tokens = 0
    for (const { place, count } of extents) {
      const take = isPair ? scoresOfTwo : scoresOfOne
      take(query * FLOAT_BYTES, (keys + place) * FLOAT_BYTES, (scores + tokens) * FLOAT_BYTES, count, stride * FLOAT_BYTES)
      tokens += count
    }
    for (const row of isPair ? [scores, scores + stride] : [scores]) this.#normalise(row, tokens)
    tokens = 0
    for (const { place, count } of extents) {
      const add = isPair ? valuesOfTwo : valuesOfOne
      add((scores + tokens) * FLOAT_BYTES, (values + place) * FLOAT_BYTES, out * FLOAT_BYTES, count, stride * FLOAT_BYTES)
      tokens += count
    }
  }

  #normalise(scores: number, count: number): void {
    for (let behind = 0; behind < SCORE_MARGIN - 1; behind += 1) this.#floats[scores + count + behind] = IMPOSSIBLE
    this.#kernels.softmax(scores * FLOAT_BYTES, count)
  }

  #normHeads(x: number, weight: number, numHeads: number): void {
    const { headDim } = this.#config
    for (let head = 0; head < numHeads; head += 1) {
      const at = (x + head * headDim) * FLOAT_BYTES
      this.#kernels.rmsNorm(at, weight * FLOAT_BYTES, at, headDim, 1 / headDim)
    }
  }

  /** Rotary embedding of one head, times `scale`. */
  #rotate(from: number, to: number, position: number, scale: number): void {
    const floats = this.#floats
    const half = this.#config.headDim / 2
    const { cos, sin } = this.#rope
    for (let i = 0; i < half; i += 1) {
      const angle = position * half + i
      const low = floats[from + i]! * scale
      const high = floats[from + half + i]! * scale
      floats[to + i] = low * cos[angle]! - high * sin[angle]!
      floats[to + half + i] = high * cos[angle]! + low * sin[angle]!
    }
  }
}
