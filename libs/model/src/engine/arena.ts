// The KV arena: every layer's keys and values in blocks, on one SharedArrayBuffer whose only writer is the engine worker.
//
// Layout: [layer][keys, values][slot][kvHeads, blockSize, headDim] float32. Slot 0 is the dummy block: always zero, never owned.
// Callers name blocks by id; the arena maps ids to slots and may move a block between runs, so that the blocks which
// decoding reads lie densely in the lowest slots and can be read in place.
//
// 1. The map from block ids to slots 1..numBlocks is a bijection at all times.
// 2. No value is ever NaN or infinite: unused columns are multiplied by zero probabilities.
import type { ModelConfig } from '../checkpoint/checkpoint.ts'

export interface ArenaShape {
  readonly numLayers: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly blockSize: number
  readonly numBlocks: number
}

export function arenaShape(config: ModelConfig, blockSize: number, numBlocks: number): ArenaShape {
  return { numLayers: config.numLayers, numKvHeads: config.numKvHeads, headDim: config.headDim, blockSize, numBlocks }
}

/** Bytes of one block over all layers. */
export function blockBytes(shape: Omit<ArenaShape, 'numBlocks'>): number {
  return 2 * shape.numLayers * shape.numKvHeads * shape.blockSize * shape.headDim * Float32Array.BYTES_PER_ELEMENT
}

export function arenaBytes(shape: ArenaShape): number {
  return blockBytes(shape) * (shape.numBlocks + 1)
}

export class Arena {
  readonly shape: ArenaShape
  readonly data: Float32Array
  readonly numSlots: number
  /** Elements of one block in one plane (keys or values of one layer). */
  readonly planeBlock: number
  /** Elements of one plane. */
  readonly planeStride: number
  readonly numPlanes: number
  readonly #slotOf: Int32Array
  readonly #blockAt: Int32Array
  readonly #scratch: Float32Array

  constructor(shape: ArenaShape, buffer: SharedArrayBuffer) {
    this.shape = shape
    this.data = new Float32Array(buffer)
    this.numSlots = shape.numBlocks + 1
    this.planeBlock = shape.numKvHeads * shape.blockSize * shape.headDim
    this.planeStride = this.planeBlock * this.numSlots
    this.numPlanes = 2 * shape.numLayers
    if (this.data.length !== this.planeStride * this.numPlanes) throw new Error('arena buffer has the wrong size')
    this.#slotOf = Int32Array.from({ length: shape.numBlocks }, (_, block) => block + 1)
    this.#blockAt = Int32Array.from({ length: this.numSlots }, (_, slot) => slot - 1)
    this.#scratch = new Float32Array(this.planeBlock)
  }

  slotOf(block: number): number {
    return this.#slotOf[block]!
  }

  blockAt(slot: number): number {
    return this.#blockAt[slot]!
  }

  /** Exchanges the slots of two blocks, contents included. */
  swapSlots(a: number, b: number): void {
    const { data, planeBlock, planeStride } = this
    for (let plane = 0; plane < this.numPlanes; plane++) {
      const atA = plane * planeStride + a * planeBlock
      const atB = plane * planeStride + b * planeBlock
      this.#scratch.set(data.subarray(atA, atA + planeBlock))
      data.copyWithin(atA, atB, atB + planeBlock)
      data.set(this.#scratch, atB)
    }
    const blockA = this.#blockAt[a]!
    const blockB = this.#blockAt[b]!
    this.#blockAt[a] = blockB
    this.#blockAt[b] = blockA
    this.#slotOf[blockA] = b
    this.#slotOf[blockB] = a
  }

  /** Exchanges the slots of a block without contents and another, whose contents move along when `keep` is set. */
  exchange(fresh: number, other: number, keep: boolean): void {
    const slot = this.slotOf(other)
    const target = this.slotOf(fresh)
    for (let plane = 0; keep && plane < this.numPlanes; plane++) {
      const base = plane * this.planeStride
      this.data.copyWithin(base + target * this.planeBlock, base + slot * this.planeBlock, base + (slot + 1) * this.planeBlock)
    }
    this.#slotOf[fresh] = slot
    this.#slotOf[other] = target
    this.#blockAt[slot] = fresh
    this.#blockAt[target] = other
  }

  copyBlock(from: number, to: number): void {
    const source = this.slotOf(from) * this.planeBlock
    const target = this.slotOf(to) * this.planeBlock
    for (let plane = 0; plane < this.numPlanes; plane++) {
      const base = plane * this.planeStride
      this.data.copyWithin(base + target, base + source, base + source + this.planeBlock)
    }
  }

  /**
   * Writes `count` consecutive new tokens of one request, which must fit in one block. `rows` is the run's new_kv
   * [2 * layers * numRequests, kvHeads, width, headDim]; tokens `from`.. of request `request` go to `offset`.. of the block.
   */
  writeTokens(block: number, offset: number, count: number, source: NewTokens): void {
    const { numKvHeads, headDim, blockSize } = this.shape
    const { rows, request, numRequests, width, from } = source
    const length = count * headDim
    for (let plane = 0; plane < this.numPlanes; plane++) {
      let to = plane * this.planeStride + this.slotOf(block) * this.planeBlock + offset * headDim
      let at = (((plane * numRequests + request) * numKvHeads) * width + from) * headDim
      for (let head = 0; head < numKvHeads; head++) {
        if (length > 256) this.data.set(rows.subarray(at, at + length), to)
        else for (let i = 0; i < length; i++) this.data[to + i] = rows[at + i]!
        to += blockSize * headDim
        at += width * headDim
      }
    }
  }

  /** Contents of whole blocks, block by block, each as [plane][kvHeads, blockSize, headDim]. */
  exportBlocks(blocks: readonly number[]): Uint8Array {
    const out = new Float32Array(blocks.length * this.numPlanes * this.planeBlock)
    let to = 0
    for (const block of blocks) {
      for (let plane = 0; plane < this.numPlanes; plane++) {
        const at = plane * this.planeStride + this.slotOf(block) * this.planeBlock
        out.set(this.data.subarray(at, at + this.planeBlock), to)
        to += this.planeBlock
      }
    }
    return new Uint8Array(out.buffer)
  }

  /** Inverse of exportBlocks. */
  installBlocks(blocks: readonly number[], bytes: Uint8Array): void {
    const expected = blocks.length * this.numPlanes * this.planeBlock * Float32Array.BYTES_PER_ELEMENT
    if (bytes.byteLength !== expected) throw new Error(`installBlocks: ${bytes.byteLength} bytes for ${blocks.length} blocks, expected ${expected}`)
    const values = new Float32Array(bytes.byteOffset % 4 === 0 ? bytes.buffer : bytes.slice().buffer, bytes.byteOffset % 4 === 0 ? bytes.byteOffset : 0, expected / 4)
    let at = 0
    for (const block of blocks) {
      for (let plane = 0; plane < this.numPlanes; plane++) {
        this.data.set(values.subarray(at, at + this.planeBlock), plane * this.planeStride + this.slotOf(block) * this.planeBlock)
        at += this.planeBlock
      }
    }
  }

  /** Throws unless the map is a bijection and the dummy block is zero. For tests and idle times. */
  assertIntegrity(): void {
    for (let block = 0; block < this.shape.numBlocks; block++) {
      const slot = this.slotOf(block)
      if (slot < 1 || slot >= this.numSlots || this.blockAt(slot) !== block) throw new Error(`block ${block} is not where slot ${slot} says`)
    }
    for (let plane = 0; plane < this.numPlanes; plane++) {
      const dummy = this.data.subarray(plane * this.planeStride, plane * this.planeStride + this.planeBlock)
      if (dummy.some((value) => value !== 0)) throw new Error(`dummy block is not zero in plane ${plane}`)
    }
  }
}

/** Where new tokens lie in the output of a run. */
export interface NewTokens {
  readonly rows: Float32Array
  readonly request: number
  readonly numRequests: number
  /** q of the run. */
  readonly width: number
  /** First token's place among the request's new tokens. */
  readonly from: number
}
