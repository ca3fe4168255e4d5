// KV contents of the memory engine: per block and row a digest of the block's tokens up to that row.
//
// 1. A row can be read only after it was written; writing a row makes the rows behind it unreadable.
// 2. A digest over a context reads one row of every block, so that any wrong block changes it.
import { mixHash } from './token-rule.ts'

const BLOCK_START = 0x2545f491

export class MemoryArena {
  readonly blockSize: number
  readonly #digests: Int32Array
  readonly #numRows: Int32Array

  constructor(numBlocks: number, blockSize: number) {
    this.blockSize = blockSize
    this.#digests = new Int32Array(numBlocks * blockSize)
    this.#numRows = new Int32Array(numBlocks)
  }

  /** Writes one token's row. Throws when the row before it was never written. */
  write(blockId: number, row: number, tokenId: number): void {
    if (row > this.#rows(blockId)) throw new Error(`arena: row ${row} of block ${blockId} is written before row ${row - 1}`)
    const at = blockId * this.blockSize + row
    this.#digests[at] = mixHash(row === 0 ? BLOCK_START : this.#digests[at - 1]!, tokenId)
    this.#numRows[blockId] = row + 1
  }

  copy(from: number, to: number): void {
    if (this.#rows(from) === 0) throw new Error(`arena: block ${from} is copied but was never written`)
    this.#digests.copyWithin(to * this.blockSize, from * this.blockSize, (from + 1) * this.blockSize)
    this.#numRows[to] = this.#rows(from)
  }

  /** Digest of the first `numTokens` tokens seen through a block table. Throws on unwritten rows. */
  digest(table: readonly number[], numTokens: number): number {
    let digest = 0
    for (let start = 0; start < numTokens; start += this.blockSize) {
      const blockId = table[start / this.blockSize]
      const row = Math.min(numTokens - start, this.blockSize) - 1
      if (blockId === undefined) throw new Error(`arena: the block table ends before token ${numTokens - 1}`)
      if (row >= this.#rows(blockId)) throw new Error(`arena: row ${row} of block ${blockId} is read but was never written`)
      digest = mixHash(digest, this.#digests[blockId * this.blockSize + row]!)
    }
    return digest
  }

  /** Whole blocks: the digests, then the number of written rows. */
  export(blockIds: readonly number[]): Uint8Array {
    const out = new Int32Array(blockIds.length * (this.blockSize + 1))
    blockIds.forEach((blockId, place) => {
      const at = place * (this.blockSize + 1)
      out.set(this.#digests.subarray(blockId * this.blockSize, (blockId + 1) * this.blockSize), at)
      out[at + this.blockSize] = this.#rows(blockId)
    })
    return new Uint8Array(out.buffer)
  }

  install(blockIds: readonly number[], bytes: Uint8Array): void {
    const words = new Int32Array(bytes.slice().buffer)
    if (words.length !== blockIds.length * (this.blockSize + 1)) throw new Error('arena: installed bytes do not fit the blocks')
    blockIds.forEach((blockId, place) => {
      const at = place * (this.blockSize + 1)
      this.#digests.set(words.subarray(at, at + this.blockSize), blockId * this.blockSize)
      this.#numRows[blockId] = words[at + this.blockSize]!
    })
  }

  #rows(blockId: number): number {
    const rows = this.#numRows[blockId]
    if (rows === undefined) throw new Error(`arena: there is no block ${blockId}`)
    return rows
  }
}

/** What MemoryArena.digest gives for these tokens when every block is right. */
export function digestOfTokens(tokenIds: readonly number[], blockSize: number): number {
  let digest = 0
  for (let start = 0; start < tokenIds.length; start += blockSize) {
    let block = BLOCK_START
    for (let at = start; at < Math.min(start + blockSize, tokenIds.length); at++) block = mixHash(block, tokenIds[at]!)
    digest = mixHash(digest, block)
  }
  return digest
}
