// KV contents of the synthetic engine: per full block a digest of all tokens up to its end. Blocks cross between engines at
// their real size, so that a transfer costs what it would cost, yet the arena itself holds four bytes per block.

/** No block has it while nothing was written or only a part of it. */
const UNWRITTEN = 0
const HEADER_BYTES = 4

export class SyntheticArena {
  readonly #blockBytes: number
  readonly #digests: Int32Array

  /** blockBytes: at least 4. */
  constructor(numBlocks: number, blockBytes: number) {
    if (blockBytes < HEADER_BYTES) throw new Error(`arena: a block has at least ${HEADER_BYTES} bytes`)
    this.#blockBytes = blockBytes
    this.#digests = new Int32Array(numBlocks).fill(UNWRITTEN)
  }

  has(blockId: number): boolean {
    return Number.isInteger(blockId) && blockId >= 0 && blockId < this.#digests.length
  }

  /** The block holds all its tokens; `digest` covers them and everything before. */
  fill(blockId: number, digest: number): void {
    this.#digests[blockId] = digest
  }

  /** The block is about to be written from its first row. */
  begin(blockId: number): void {
    this.#digests[blockId] = UNWRITTEN
  }

  holds(blockId: number, digest: number): boolean {
    return this.#digests[blockId] === digest
  }

  copy(from: number, to: number): void {
    this.#digests[to] = this.#digests[from] ?? UNWRITTEN
  }

  /** Per block its digest, then one byte of it repeated up to the block's size. */
  export(blockIds: readonly number[]): Uint8Array {
    const bytes = new Uint8Array(blockIds.length * this.#blockBytes)
    const view = new DataView(bytes.buffer)
    for (const [place, blockId] of blockIds.entries()) {
      const digest = this.#digests[blockId] ?? UNWRITTEN
      const start = place * this.#blockBytes
      bytes.fill(digest & 0xff, start, start + this.#blockBytes)
      view.setInt32(start, digest, true)
    }
    return bytes
  }

  /** Throws where the bytes are not whole blocks as export gave them. */
  install(blockIds: readonly number[], bytes: Uint8Array): void {
    if (bytes.length !== blockIds.length * this.#blockBytes) throw new Error(`arena: ${bytes.length} bytes are not ${blockIds.length} blocks of ${this.#blockBytes}`)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const [place, blockId] of blockIds.entries()) {
      const start = place * this.#blockBytes
      const digest = view.getInt32(start, true)
      const middle = start + HEADER_BYTES + ((this.#blockBytes - HEADER_BYTES) >> 1)
      const isWhole = this.#blockBytes === HEADER_BYTES || (bytes[middle] === (digest & 0xff) && bytes[start + this.#blockBytes - 1] === (digest & 0xff))
      if (!isWhole) throw new Error(`arena: block ${blockId} arrived damaged`)
      this.#digests[blockId] = digest
    }
  }
}
