// Runs a draft of any size on the target's decoder graph.
//
// 1. Level k of all trees is one run; a run recomputes the levels above it, which are few rows of a small model, so that
//    nothing but committed tokens is ever in KV, always short of the last one, which roots the tree.
import type { Arena, NewTokens } from '../engine/arena.ts'
import type { Run, RunInputs, RunRequest } from '../engine/run-inputs.ts'
import type { Feeds, RunOutputs } from '../engine/session.ts'
import { INLINE_LAG } from './draft-runner.ts'
import type { DraftRunner, Growing, Resident } from './draft-runner.ts'

export interface GraphRunnerParts {
  readonly arena: Arena
  readonly inputs: RunInputs
  readonly run: (feeds: Feeds) => Promise<RunOutputs>
  readonly vocabSize: number
  readonly maxModelLen: number
}

/** New tokens of a catch-up run. */
const CATCH_UP_TOKENS = 128

export class GraphRunner implements DraftRunner {
  readonly #parts: GraphRunnerParts

  constructor(parts: GraphRunnerParts) {
    this.#parts = parts
  }

  get blockSize(): number {
    return this.#parts.arena.shape.blockSize
  }

  get numBlocks(): number {
    return this.#parts.arena.shape.numBlocks
  }

  get maxModelLen(): number {
    return this.#parts.maxModelLen
  }

  treeTokens(): number {
    return 0
  }

  async catchUp(tokens: readonly number[], resident: Resident): Promise<void> {
    while (tokens.length - 1 - resident.computedTokens > INLINE_LAG) {
      const count = Math.min(CATCH_UP_TOKENS, tokens.length - 1 - resident.computedTokens)
      const tokenIds = tokens.slice(resident.computedTokens, resident.computedTokens + count)
      const { newTokens } = await this.#run({ kind: 'cell', requests: [{ blocks: resident.blocks, contextTokens: resident.computedTokens, tokenIds, parents: null }] })
      this.#write(resident, count, newTokens)
    }
  }

  async growLevel(active: readonly Growing[]): Promise<void> {
    const { vocabSize } = this.#parts
    const lags = active.map(({ request, resident }) => request.tokens.length - 1 - resident.computedTokens)
    const { logits, newTokens } = await this.#run({ kind: 'decodes', requests: active.map((growing, index) => toRequest(growing, lags[index]!)) })
    let row = 0
    for (const [index, { resident, grower, limits }] of active.entries()) {
      const lag = lags[index]!
      const firstRow = row + lag
      row = firstRow + 1 + grower.tokenIds.length
      const rowOf = (node: number): Float32Array => logits.subarray((firstRow + 1 + node) * vocabSize, (firstRow + 2 + node) * vocabSize)
      this.#write(resident, lag, { ...newTokens, request: index })
      grower.grow(rowOf, limits)
    }
  }

  async #run(wanted: Run): Promise<{ readonly logits: Float32Array; readonly newTokens: NewTokens }> {
    const { feeds, numRequests, width } = this.#parts.inputs.build(wanted)
    const { logits, newKv } = await this.#parts.run(feeds)
    return { logits, newTokens: { rows: newKv, request: 0, numRequests, width, from: 0 } }
  }

  /** Takes the first `count` new tokens of a run into KV, split at block borders. */
  #write(resident: Resident, count: number, source: NewTokens): void {
    for (let done = 0; done < count; ) {
      const at = resident.computedTokens
      const length = Math.min(count - done, this.blockSize - (at % this.blockSize))
      this.#parts.arena.writeTokens(resident.blocks[Math.floor(at / this.blockSize)]!, at % this.blockSize, length, { ...source, from: done })
      resident.computedTokens += length
      done += length
    }
  }
}

/** Lagging tokens as a chain, the last committed token, then the tree so far. */
function toRequest({ request, resident, grower }: Growing, lag: number): RunRequest {
  const committed = request.tokens.slice(resident.computedTokens)
  const chain = Array.from({ length: lag }, (_, place) => place - 1)
  const parents = [...chain, ...grower.parents.map((parent) => parent + lag)]
  return { blocks: resident.blocks, contextTokens: resident.computedTokens, tokenIds: [...committed, ...grower.tokenIds], parents: parents.length === 0 ? null : parents }
}
