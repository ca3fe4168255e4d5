// The tensors that feed a run, by its shape: views of one growing buffer per input.
//
// 1. Tensors of a shape are kept and refilled, so that a steady decode batch allocates nothing; memory is bounded by the
//    largest run, not by the number of shapes.
import { Tensor } from 'onnxruntime-node'
import type { ModelConfig } from '../checkpoint/checkpoint.ts'
import type { Arena } from './arena.ts'
import type { Feeds } from './session.ts'

/** Sizes that decide every input's shape. */
export interface RunShape {
  readonly numRequests: number
  readonly width: number
  readonly numTokens: number
  readonly numWanted: number
  readonly maxBlocks: number
  readonly numDense: number
  readonly numExtra: number
}

const MAX_CACHED_SHAPES = 64

/** Forgets the entry that was asked for least recently when it is full. */
class RecentFeeds<Key> {
  readonly #entries = new Map<Key, Feeds>()

  get(key: Key, make: () => Feeds): Feeds {
    const known = this.#entries.get(key)
    if (known !== undefined) this.#entries.delete(key)
    else if (this.#entries.size >= MAX_CACHED_SHAPES) this.#entries.delete(this.#entries.keys().next().value!)
    const feeds = known ?? make()
    this.#entries.set(key, feeds)
    return feeds
  }

  clear(): void {
    this.#entries.clear()
  }
}

export class RunTensors {
  readonly #config: ModelConfig
  readonly #arena: Arena
  readonly #arenaTensor: Tensor
  readonly #feeds = new RecentFeeds<string>()
  readonly #dense = new RecentFeeds<number>()
  readonly #buffers = new Map<string, Int32Array | BigInt64Array | Float32Array>()

  constructor(config: ModelConfig, arena: Arena) {
    this.#config = config
    this.#arena = arena
    const { numKvHeads, blockSize, headDim } = arena.shape
    this.#arenaTensor = new Tensor('float32', arena.data, [arena.numPlanes * arena.numSlots, numKvHeads, 1, blockSize, headDim])
  }

  /** Every input of a run of this shape; what an earlier run left in them is still there. */
  feeds(shape: RunShape): Feeds {
    const key = `${shape.numRequests},${shape.width},${shape.numTokens},${shape.numWanted},${shape.maxBlocks},${shape.numDense},${shape.numExtra}`
    return this.#feeds.get(key, () => this.#allocate(shape))
  }

  #allocate(shape: RunShape): Feeds {
    const { numRequests: r, width: q, numTokens, numWanted, maxBlocks, numDense, numExtra } = shape
    const past = maxBlocks * this.#arena.shape.blockSize
    const int32 = (name: string, ...dims: number[]): Tensor => new Tensor('int32', this.#view(name, dims, Int32Array), dims)
    return {
      ids: int32('ids', numTokens),
      positions: new Tensor('int64', this.#view('positions', [r, q], BigInt64Array), [r, q]),
      pad: int32('pad', r, q),
      unpad: int32('unpad', numTokens),
      logit_rows: int32('logit_rows', numWanted),
      logit_unpad: int32('logit_unpad', numWanted),
      owner: int32('owner', numDense),
      extra_owner: int32('extra_owner', numExtra),
      block_index: int32('block_index', maxBlocks, r),
      dense_inverse: int32('dense_inverse', numDense),
      extra_inverse: int32('extra_inverse', numExtra),
      extra_slots: int32('extra_slots', numExtra),
      mask: new Tensor('float32', this.#view('mask', [r, q, past + q], Float32Array), [r, 1, 1, q, past + q]),
      block_ones: new Tensor('float32', new Float32Array(maxBlocks).fill(1), [1, maxBlocks]),
      arena: this.#arenaTensor,
      ...this.#shapeVectors(shape),
      ...this.#dense.get(numDense, () => this.#denseFeeds(numDense)),
    }
  }

  /** The start of the input's buffer, which grows by doubling; tensors of an outgrown one are dropped with it. */
  #view<A extends Int32Array | BigInt64Array | Float32Array>(name: string, dims: readonly number[], make: new (length: number) => A): A {
    const length = dims.reduce((product, size) => product * size, 1)
    let buffer = this.#buffers.get(name)
    if (buffer === undefined || buffer.length < length) {
      buffer = new make(2 ** Math.ceil(Math.log2(Math.max(length, 16))))
      this.#buffers.set(name, buffer)
      this.#feeds.clear()
    }
    return buffer.subarray(0, length) as A
  }

  #shapeVectors({ numRequests: r, width: q, maxBlocks }: RunShape): Feeds {
    const { numHeads, numKvHeads, headDim } = this.#config
    const { blockSize } = this.#arena.shape
    const group = numHeads / numKvHeads
    const vector = (values: readonly number[]): Tensor => new Tensor('int64', BigInt64Array.from(values, BigInt), [values.length])
    return {
      shape_block_rows: vector([r * maxBlocks, numKvHeads, group, q, blockSize]),
      shape_heads: vector([r, numKvHeads, group, q, headDim]),
      split_past_new: vector([maxBlocks * blockSize, q]),
    }
  }

  /** The arena's first slots as tensors, per layer: views, not copies. */
  #denseFeeds(numDense: number): Feeds {
    const { numKvHeads, blockSize, headDim } = this.#arena.shape
    const plane = (index: number): Tensor => {
      const at = index * this.#arena.planeStride
      return new Tensor('float32', this.#arena.data.subarray(at, at + numDense * this.#arena.planeBlock), [numDense, numKvHeads, 1, blockSize, headDim])
    }
    const feeds: Feeds = {}
    for (let layer = 0; layer < this.#config.numLayers; layer++) {
      feeds[`keys_${layer}`] = plane(2 * layer)
      feeds[`values_${layer}`] = plane(2 * layer + 1)
    }
    return feeds
  }
}
