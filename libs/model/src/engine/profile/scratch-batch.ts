// A batch of scratch sequences behind contexts of given lengths, ready to be decoded, verified or prefilled.
import type { EngineShape, StepResult, TokenTree } from '../step.ts'
import type { ScratchArena } from './scratch-arena.ts'

export interface ScratchBatchOptions {
  /** Tokens in KV before the first step, one entry per sequence. */
  readonly contexts: readonly number[]
  /** Tokens that each sequence may gain. */
  readonly roomTokens: number
}

function blocksNeeded({ contexts, roomTokens }: ScratchBatchOptions, blockSize: number): number {
  return contexts.reduce((sum, context) => sum + Math.ceil((context + roomTokens) / blockSize), 0)
}

/** Whether the engine has the blocks and the positions for such a batch. */
export function canHold(shape: EngineShape, options: ScratchBatchOptions): boolean {
  const longest = Math.max(...options.contexts) + options.roomTokens
  return longest <= shape.maxModelLen && blocksNeeded(options, shape.blockSize) <= shape.numBlocks
}

interface ScratchSequence {
  readonly handle: number
  /** Tokens in KV. */
  tokens: number
  numBlocks: number
}

/** Sequences take further blocks as they grow, as under an instance: blocks held early would lie as holes between those in use. */
export class ScratchBatch {
  readonly #arena: ScratchArena
  readonly #sequences: readonly ScratchSequence[]
  #nextBlock: number

  private constructor(arena: ScratchArena, sequences: readonly ScratchSequence[], nextBlock: number) {
    this.#arena = arena
    this.#sequences = sequences
    this.#nextBlock = nextBlock
  }

  /** Admits the sequences. Throws RangeError unless canHold. At most one batch of an arena at a time. */
  static async open(arena: ScratchArena, options: ScratchBatchOptions): Promise<ScratchBatch> {
    const { shape } = arena.engine
    if (!canHold(shape, options)) throw new RangeError(`the engine cannot hold contexts of ${options.contexts.join(', ')} and ${options.roomTokens} more tokens each`)
    await arena.write(blocksNeeded(options, shape.blockSize))
    let nextBlock = 0
    const sequences = options.contexts.map((tokens) => ({ handle: arena.nextHandle(), tokens, numBlocks: Math.ceil(tokens / shape.blockSize) }))
    const admit = sequences.map(({ handle, tokens }, sequence) => {
      const promptIds = Array.from({ length: tokens }, (_, i) => (i * 31 + sequence) % shape.vocabSize)
      return { handle, sequence, promptIds, emittedIds: [sequence % shape.vocabSize], sampling: arena.sampling }
    })
    const appendBlocks = sequences.map(({ handle, numBlocks }) => ({ handle, blockIds: Array.from({ length: numBlocks }, () => nextBlock++) }))
    await arena.step({ admit, appendBlocks })
    return new ScratchBatch(arena, sequences, nextBlock)
  }

  /** One run over all sequences: a plain decode, or a verify of the same tree for each. */
  async decode(tree: TokenTree | null): Promise<StepResult> {
    const { blockSize } = this.#arena.engine.shape
    const gain = 1 + treeDepth(tree)
    const appendBlocks: { handle: number; blockIds: readonly number[] }[] = []
    for (const sequence of this.#sequences) {
      const missing = Math.ceil((sequence.tokens + gain) / blockSize) - sequence.numBlocks
      if (missing <= 0) continue
      sequence.numBlocks += missing
      appendBlocks.push({ handle: sequence.handle, blockIds: Array.from({ length: missing }, () => this.#nextBlock++) })
    }
    const result = await this.#arena.step({ appendBlocks, decodes: this.#sequences.map(({ handle }) => ({ handle, tree, forced: false })) })
    for (const [place, { tokenIds }] of result.tokens.entries()) this.#sequences[place]!.tokens += tokenIds.length
    return result
  }

  /** Computes tokens [start, start + count) of the first sequence's prompt: one run. May be repeated. */
  cell(start: number, count: number): Promise<StepResult> {
    return this.#arena.step({ cells: [{ handle: this.#sequences[0]!.handle, start, count, sampleHandles: [] }] })
  }

  /** Forgets the sequences; their blocks may serve the next batch. */
  async close(): Promise<void> {
    await this.#arena.step({ release: this.#sequences.map(({ handle }) => handle) })
  }
}

/** Tokens on the longest path of a tree. */
function treeDepth(tree: TokenTree | null): number {
  const depths: number[] = []
  for (const parent of tree?.parents ?? []) depths.push(parent < 0 ? 1 : depths[parent]! + 1)
  return Math.max(0, ...depths)
}
