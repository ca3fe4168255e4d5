// The blocks of one sequence in order: block i holds tokens [i * blockSize, (i + 1) * blockSize).

/** Blocks that hold `numTokens` tokens. */
export function blocksFor(numTokens: number, blockSize: number): number {
  return Math.ceil(numTokens / blockSize)
}

export class BlockTable {
  readonly blockSize: number
  readonly #blockIds: number[] = []

  constructor(blockSize: number) {
    this.blockSize = blockSize
  }

  /** A live view, not a copy. */
  get blockIds(): readonly number[] {
    return this.#blockIds
  }

  get capacityTokens(): number {
    return this.#blockIds.length * this.blockSize
  }

  /** Blocks to append before `numTokens` tokens fit. */
  missingBlocks(numTokens: number): number {
    return Math.max(0, blocksFor(numTokens, this.blockSize) - this.#blockIds.length)
  }

  append(blockIds: readonly number[]): void {
    for (const blockId of blockIds) this.#blockIds.push(blockId)
  }
}
