// Builds the graph's inputs for one run. Arrays and tensors are kept per shape and refilled, so that a steady decode
// batch allocates nothing.
import { Tensor } from 'onnxruntime-node'
import type { ModelConfig } from '../checkpoint/checkpoint.ts'
import type { Arena } from './arena.ts'

/** One request's part of a run. */
export interface RunRequest {
  /** Block ids in order; the first ceil(contextTokens / blockSize) are read. */
  readonly blocks: readonly number[]
  /** Tokens already in KV. */
  readonly contextTokens: number
  /** New tokens: prompt tokens, or the last token followed by draft nodes. */
  readonly tokenIds: ArrayLike<number>
  /** Of a tree: parent of draft node i (token i + 1), -1 the first token. null: a causal chain. */
  readonly parents: readonly number[] | null
}

export interface Run {
  readonly requests: readonly RunRequest[]
  /** Blocks with slots below this are read in place; 1 means none (slot 0 is the dummy). */
  readonly numDenseSlots: number
  /** Logits of every new token, or of each request's last one. */
  readonly wanted: 'all' | 'last'
}

const MASKED = -1e9

/** A lone request gets an empty neighbour: with one row the sum over blocks takes another kernel, and other last bits. */
export const MIN_REQUESTS = 2

interface Extra {
  readonly slot: number
  readonly request: number
  readonly index: number
}

type Feeds = Record<string, Tensor>

/** Sizes that decide every input's shape. */
interface RunShape {
  readonly numRequests: number
  readonly width: number
  readonly numTokens: number
  readonly numWanted: number
  readonly maxBlocks: number
  readonly numDense: number
  readonly numExtra: number
}

const MAX_CACHED_SHAPES = 64

export class RunInputs {
  readonly #config: ModelConfig
  readonly #arena: Arena
  readonly #feeds = new Map<string, Feeds>()
  readonly #dense = new Map<number, Feeds>()
  readonly #arenaTensor: Tensor
  /** Request that owns a slot in the run being built, valid where #stamps says so. */
  readonly #stamps: Int32Array
  #stamp = 0

  constructor(config: ModelConfig, arena: Arena) {
    this.#config = config
    this.#arena = arena
    const { numKvHeads, blockSize, headDim } = arena.shape
    this.#arenaTensor = new Tensor('float32', arena.data, [arena.numPlanes * arena.numSlots, numKvHeads, 1, blockSize, headDim])
    this.#stamps = new Int32Array(arena.numSlots)
  }

  /** Feeds for a run; valid until the next call with the same shape. */
  build(run: Run): Feeds {
    const { blockSize } = this.#arena.shape
    let width = 1
    let numTokens = 0
    let maxBlocks = 1
    for (const request of run.requests) {
      width = Math.max(width, request.tokenIds.length)
      numTokens += request.tokenIds.length
      maxBlocks = Math.max(maxBlocks, Math.ceil(request.contextTokens / blockSize))
    }
    const extras = this.#findExtras(run)
    const shape: RunShape = {
      numRequests: Math.max(run.requests.length, MIN_REQUESTS),
      width,
      numTokens,
      numWanted: run.wanted === 'all' ? numTokens : run.requests.length,
      maxBlocks,
      numDense: run.numDenseSlots,
      numExtra: extras.length,
    }
    const feeds = this.#feedsFor(shape)
    this.#fillTokens(feeds, run, width)
    this.#fillBlocks(feeds, run, shape, extras)
    this.#fillMask(feeds, run, shape)
    return feeds
  }

  /** Blocks that this run cannot read in place: outside the dense slots, or owned there by an earlier request. */
  #findExtras(run: Run): Extra[] {
    const { blockSize } = this.#arena.shape
    const extras: Extra[] = []
    const stamp = ++this.#stamp
    for (const [request, { blocks, contextTokens }] of run.requests.entries()) {
      const used = Math.ceil(contextTokens / blockSize)
      for (let index = 0; index < used; index++) {
        const slot = this.#arena.slotOf(blocks[index]!)
        if (slot < run.numDenseSlots && this.#stamps[slot] !== stamp) this.#stamps[slot] = stamp
        else extras.push({ slot, request, index })
      }
    }
    return extras
  }

  #fillTokens(feeds: Feeds, run: Run, width: number): void {
    const ids = feeds['ids']!.data as Int32Array
    const positions = feeds['positions']!.data as BigInt64Array
    const pad = feeds['pad']!.data as Int32Array
    const unpad = feeds['unpad']!.data as Int32Array
    const logitRows = feeds['logit_rows']!.data as Int32Array
    const logitUnpad = feeds['logit_unpad']!.data as Int32Array
    pad.fill(0)
    positions.fill(0n)
    let token = 0
    let wanted = 0
    for (const [r, { tokenIds, contextTokens, parents }] of run.requests.entries()) {
      const depths = parents === null ? null : treeDepths(parents)
      for (let j = 0; j < tokenIds.length; j++) {
        ids[token] = tokenIds[j]!
        positions[r * width + j] = BigInt(contextTokens + (depths === null ? j : depths[j]!))
        pad[r * width + j] = token
        unpad[token] = r * width + j
        if (run.wanted === 'all' || j === tokenIds.length - 1) {
          logitRows[wanted] = token
          logitUnpad[wanted++] = r * width + j
        }
        token++
      }
    }
  }

  #fillBlocks(feeds: Feeds, run: Run, shape: RunShape, extras: readonly Extra[]): void {
    const { blockSize } = this.#arena.shape
    const owner = feeds['owner']!.data as Int32Array
    const denseInverse = feeds['dense_inverse']!.data as Int32Array
    const blockIndex = feeds['block_index']!.data as Int32Array
    owner.fill(0)
    denseInverse.fill(0)
    blockIndex.fill(0)
    const stamp = ++this.#stamp
    for (const [r, { blocks, contextTokens }] of run.requests.entries()) {
      const used = Math.ceil(contextTokens / blockSize)
      for (let b = 0; b < used; b++) {
        const slot = this.#arena.slotOf(blocks[b]!)
        if (slot >= shape.numDense || this.#stamps[slot] === stamp) continue
        this.#stamps[slot] = stamp
        owner[slot] = r
        denseInverse[slot] = r * shape.maxBlocks + b
        blockIndex[r * shape.maxBlocks + b] = slot
      }
    }
    this.#fillExtras(feeds, shape, extras)
  }

  #fillExtras(feeds: Feeds, shape: RunShape, extras: readonly Extra[]): void {
    const blockIndex = feeds['block_index']!.data as Int32Array
    const extraOwner = feeds['extra_owner']!.data as Int32Array
    const extraInverse = feeds['extra_inverse']!.data as Int32Array
    const extraSlots = feeds['extra_slots']!.data as Int32Array
    for (const [e, { slot, request, index }] of extras.entries()) {
      extraOwner[e] = request
      extraInverse[e] = request * shape.maxBlocks + index
      blockIndex[request * shape.maxBlocks + index] = shape.numDense + e
      extraSlots[e] = slot
    }
  }

  /** Additive mask [R, 1, 1, q, T + q]: past by context length, new tokens by causality or tree ancestry. */
  #fillMask(feeds: Feeds, run: Run, shape: RunShape): void {
    const mask = feeds['mask']!.data as Float32Array
    const past = shape.maxBlocks * this.#arena.shape.blockSize
    const columns = past + shape.width
    mask.fill(MASKED)
    for (const [r, { tokenIds, contextTokens, parents }] of run.requests.entries()) {
      for (let j = 0; j < shape.width; j++) {
        const row = (r * shape.width + j) * columns
        mask.fill(0, row, row + contextTokens)
        if (j >= tokenIds.length || parents === null) mask.fill(0, row + past, row + past + Math.min(j, tokenIds.length - 1) + 1)
        else unmaskAncestors(mask, row + past, parents, j)
      }
    }
  }

  #feedsFor(shape: RunShape): Feeds {
    const key = `${shape.numRequests},${shape.width},${shape.numTokens},${shape.numWanted},${shape.maxBlocks},${shape.numDense},${shape.numExtra}`
    let feeds = this.#feeds.get(key)
    if (feeds === undefined) {
      if (this.#feeds.size >= MAX_CACHED_SHAPES) this.#feeds.delete(this.#feeds.keys().next().value!)
      feeds = this.#allocate(shape)
    } else this.#feeds.delete(key)
    this.#feeds.set(key, feeds)
    return feeds
  }

  #allocate(shape: RunShape): Feeds {
    const { numRequests: r, width: q, numTokens, numWanted, maxBlocks, numDense, numExtra } = shape
    const past = maxBlocks * this.#arena.shape.blockSize
    const int32 = (dims: readonly number[]): Tensor => new Tensor('int32', new Int32Array(dims.reduce((a, b) => a * b, 1)), dims)
    return {
      ids: int32([numTokens]),
      positions: new Tensor('int64', new BigInt64Array(r * q), [r, q]),
      pad: int32([r, q]),
      unpad: int32([numTokens]),
      logit_rows: int32([numWanted]),
      logit_unpad: int32([numWanted]),
      owner: int32([numDense]),
      extra_owner: int32([numExtra]),
      block_index: int32([r, maxBlocks]),
      dense_inverse: int32([numDense]),
      extra_inverse: int32([numExtra]),
      extra_slots: int32([numExtra]),
      mask: new Tensor('float32', new Float32Array(r * q * (past + q)), [r, 1, 1, q, past + q]),
      arena: this.#arenaTensor,
      ...this.#shapeVectors(shape),
      ...this.#denseFeeds(numDense),
    }
  }

  #shapeVectors({ numRequests: r, width: q, maxBlocks }: RunShape): Feeds {
    const { numHeads, numKvHeads, headDim } = this.#config
    const { blockSize } = this.#arena.shape
    const group = numHeads / numKvHeads
    const past = maxBlocks * blockSize
    const vector = (values: readonly number[]): Tensor => new Tensor('int64', BigInt64Array.from(values, BigInt), [values.length])
    return {
      shape_queries: vector([r, q, numKvHeads, group, headDim]),
      shape_keys: vector([r, q, numKvHeads, 1, headDim]),
      shape_past_scores: vector([r, numKvHeads, group, q, past]),
      shape_past_blocks: vector([r, numKvHeads, group, q, maxBlocks, blockSize]),
      shape_block_rows: vector([r * maxBlocks, numKvHeads, group, q, blockSize]),
      split_past_new: vector([past, q]),
      shape_rows: vector([r * q, numHeads * headDim]),
    }
  }

  /** The arena's first slots as tensors, per layer: views, not copies. */
  #denseFeeds(numDense: number): Feeds {
    let feeds = this.#dense.get(numDense)
    if (feeds !== undefined) return feeds
    const { numKvHeads, blockSize, headDim } = this.#arena.shape
    const plane = (index: number): Tensor => {
      const at = index * this.#arena.planeStride
      return new Tensor('float32', this.#arena.data.subarray(at, at + numDense * this.#arena.planeBlock), [numDense, numKvHeads, 1, blockSize, headDim])
    }
    feeds = {}
    for (let layer = 0; layer < this.#config.numLayers; layer++) {
      feeds[`keys_${layer}`] = plane(2 * layer)
      feeds[`values_${layer}`] = plane(2 * layer + 1)
    }
    this.#dense.set(numDense, feeds)
    return feeds
  }
}

/** Lets token `from` see itself and what lies between it and the first token. */
function unmaskAncestors(mask: Float32Array, at: number, parents: readonly number[], from: number): void {
  for (let node = from; node > 0; node = parents[node - 1]! + 1) mask[at + node] = 0
  mask[at] = 0
}

/** Depth of each token of a tree: 0 for the first token, then one more than its parent. */
function treeDepths(parents: readonly number[]): Int32Array {
  const depths = new Int32Array(parents.length + 1)
  for (let node = 0; node < parents.length; node++) depths[node + 1] = depths[parents[node]! + 1]! + 1
  return depths
}
