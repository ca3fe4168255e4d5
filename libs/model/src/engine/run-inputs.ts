// Fills the graph's inputs for one run.
//
// 1. A decode's bits never depend on its neighbours: where a size that they decide would choose the kernel or the order of a
//    sum, that size is padded.
import type { ModelConfig } from '../checkpoint/checkpoint.ts'
import type { Arena } from './arena.ts'
import { RunTensors } from './run-tensors.ts'
import type { RunShape } from './run-tensors.ts'
import type { Feeds } from './session.ts'
import { treeDepths, unmaskAncestors } from './token-tree.ts'

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
  /** A cell is one request's, and only a prompt's last one gives logits: its last token's. Decodes are of any number of requests and all give logits. */
  readonly kind: 'cell' | 'last-cell' | 'decodes'
  readonly requests: readonly RunRequest[]
}

export interface BuiltRun {
  readonly feeds: Feeds
  /** R of the run, an empty neighbour included. */
  readonly numRequests: number
  /** q of the run: new tokens of its widest request. */
  readonly width: number
}

const MASKED = -1e9

/**
 * Past lengths are padded to a multiple of this many blocks. A row of scores is summed in vectors of 16 floats, and blocks
 * are summed in pairs: unless both come out whole, a longer neighbour moves a term to another lane or pair. Block sizes are
 * multiples of 8.
 */
const BLOCK_MULTIPLE = 2

/** With one KV head, a product over a single request or block is taken as one matrix product over all G rows: other last bits. */
const LEAST_BATCH_OF_ONE_HEAD = 2

/** Cost of a block that is gathered, in blocks read in place: about 1.5 at one and 1.3 at eight new tokens per request (13 M parameters). */
const GATHER_COST_RATIO = 1.5

interface Extra {
  readonly slot: number
  readonly request: number
  readonly index: number
}

export class RunInputs {
  readonly #arena: Arena
  readonly #maxModelLen: number
  readonly #tensors: RunTensors
  readonly #leastBatch: number
  /** Slots already owned by a request of the run being built: those stamped with the current #stamp. */
  readonly #stamps: Int32Array
  #stamp = 0

  constructor(config: ModelConfig, arena: Arena, maxModelLen: number) {
    this.#arena = arena
    this.#maxModelLen = maxModelLen
    this.#tensors = new RunTensors(config, arena)
    this.#leastBatch = config.numKvHeads === 1 ? LEAST_BATCH_OF_ONE_HEAD : 1
    this.#stamps = new Int32Array(arena.numSlots)
  }

  /** Feeds for a run; valid until the next call. */
  build(run: Run): BuiltRun {
    const { blockSize } = this.#arena.shape
    const { requests } = run
    let width = 1
    let numTokens = 0
    let maxBlocks = 1
    for (const request of requests) {
      width = Math.max(width, request.tokenIds.length)
      numTokens += request.tokenIds.length
      maxBlocks = Math.max(maxBlocks, Math.ceil(request.contextTokens / blockSize))
    }
    const numDense = run.kind === 'decodes' ? this.#chooseDense(requests) : 1
    const extras = this.#findExtras(requests, numDense)
    const shape: RunShape = {
      // A cell is alone by definition: its shape depends on nothing but its own tokens.
      numRequests: run.kind === 'decodes' ? Math.max(requests.length, this.#leastBatch) : 1,
      width,
      numTokens,
      numWanted: run.kind === 'decodes' ? numTokens : run.kind === 'cell' ? 0 : 1,
      maxBlocks: Math.ceil(maxBlocks / BLOCK_MULTIPLE) * BLOCK_MULTIPLE,
      numDense,
      numExtra: extras.length === 0 ? 0 : Math.max(extras.length, this.#leastBatch),
    }
    const feeds = this.#tensors.feeds(shape)
    this.#fillTokens(feeds, run, width)
    this.#fillDense(feeds, run, shape)
    this.#fillExtras(feeds, shape, extras)
    this.#fillMask(feeds, run, shape)
    return { feeds, numRequests: shape.numRequests, width }
  }

  /**
   * How many of the lowest slots to read in place, the dummy's included: every one of them is computed with, whoever its
   * block belongs to, and what lies above is gathered.
   */
  #chooseDense(requests: readonly RunRequest[]): number {
    const { blockSize } = this.#arena.shape
    const stamp = ++this.#stamp
    let gathered = 0
    for (const { blocks, contextTokens } of requests) {
      for (let index = 0; index * blockSize < contextTokens; index++) {
        const slot = this.#arena.slotOf(blocks[index]!)
        if (this.#stamps[slot] === stamp) continue
        this.#stamps[slot] = stamp
        gathered++
      }
    }
    let numDense = 1
    let least = gathered * GATHER_COST_RATIO
    for (let slot = 1; slot < this.#arena.numSlots && slot < least; slot++) {
      if (this.#stamps[slot] !== stamp) continue
      const cost = slot + --gathered * GATHER_COST_RATIO
      if (cost > least) continue
      least = cost
      numDense = slot + 1
    }
    return numDense
  }

  /** Blocks that this run cannot read in place: outside the dense slots, or owned there by an earlier request. */
  #findExtras(requests: readonly RunRequest[], numDense: number): Extra[] {
    const { blockSize } = this.#arena.shape
    const extras: Extra[] = []
    const stamp = ++this.#stamp
    for (const [request, { blocks, contextTokens }] of requests.entries()) {
      for (let index = 0; index * blockSize < contextTokens; index++) {
        const slot = this.#arena.slotOf(blocks[index]!)
        if (slot < numDense && this.#stamps[slot] !== stamp) this.#stamps[slot] = stamp
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
    // A draft may reach past the longest sequence; such a node is never accepted, and its position is any valid one.
    const lastPosition = this.#maxModelLen - 1
    pad.fill(0)
    positions.fill(0n)
    let token = 0
    let wanted = 0
    for (const [r, { tokenIds, contextTokens, parents }] of run.requests.entries()) {
      const depths = parents === null ? null : treeDepths(parents)
      for (let j = 0; j < tokenIds.length; j++) {
        ids[token] = tokenIds[j]!
        positions[r * width + j] = BigInt(Math.min(contextTokens + (depths === null ? j : depths[j]!), lastPosition))
        pad[r * width + j] = token
        unpad[token] = r * width + j
        if (run.kind === 'decodes' || (run.kind === 'last-cell' && j === tokenIds.length - 1)) {
          logitRows[wanted] = token
          logitUnpad[wanted++] = r * width + j
        }
        token++
      }
    }
  }

  /** Owners of the dense blocks; leaves every other entry on the dummy block. */
  #fillDense(feeds: Feeds, run: Run, shape: RunShape): void {
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
        blockIndex[b * shape.numRequests + r] = slot
      }
    }
  }

  /** Entries past the last extra block, if any, are products with the dummy that nobody reads. */
  #fillExtras(feeds: Feeds, shape: RunShape, extras: readonly Extra[]): void {
    const blockIndex = feeds['block_index']!.data as Int32Array
    const extraOwner = feeds['extra_owner']!.data as Int32Array
    const extraInverse = feeds['extra_inverse']!.data as Int32Array
    const extraSlots = feeds['extra_slots']!.data as Int32Array
    for (let e = 0; e < shape.numExtra; e++) {
      const { slot, request, index } = extras[e] ?? { slot: 0, request: 0, index: 0 }
      extraOwner[e] = request
      extraInverse[e] = request * shape.maxBlocks + index
      extraSlots[e] = slot
      if (e < extras.length) blockIndex[index * shape.numRequests + request] = shape.numDense + e
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
}
