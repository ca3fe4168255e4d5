// An engine for large experiments: it follows every sequence and touches no block. Tokens count up from a start of their own
// choice, so that whoever receives one can tell which it is.
//
// 1. Tokens depend on seed, choice and index, never on the schedule: a recovered or moved sequence goes on with the next.
// 2. A choice ends at max_tokens: no token stops it.
import type { DraftTree, DraftWish, EngineCommand, EngineResult, EngineShape, SequenceSpec, StepCommand, StepDrafts, StepResult, StepTokens, TokenTree } from '@rubato/model'
import type { CellWork, StepDecode, StepWork } from '@rubato/policy'
import { mixDigest } from '../synthetic/token-rule.ts'
import type { EngineModel } from './engine-model.ts'

/** Grows a tree below a sequence; `at` tells places apart, `nextToken` what comes after a path: null: nothing does. */
export type DraftMaker = (wish: DraftWish, at: number, nextToken: (path: readonly number[]) => number | null) => DraftTree

interface LightSequence {
  readonly firstToken: number
  readonly maxTokens: number
  readonly promptLen: number
  numEmitted: number
  hasFinished: boolean
}

const NO_BYTES = new Uint8Array(0)

/** Token at an index of a choice. */
export function lightToken({ seed, sequence, index }: { readonly seed: number; readonly sequence: number; readonly index: number }, vocabSize: number): number {
  return (firstToken(seed, sequence, vocabSize) + index) % vocabSize
}

function firstToken(seed: number, sequence: number, vocabSize: number): number {
  return (mixDigest(mixDigest(sequence + 1, seed | 0), Math.floor(seed / 2 ** 32)) >>> 0) % vocabSize
}

export class LightEngine implements EngineModel {
  readonly #vocabSize: number
  readonly #draft: DraftMaker | null
  readonly #live = new Map<number, LightSequence>()
  /** Of the decodes of the step that has begun. */
  readonly #decoding: LightSequence[] = []
  /** Reused from step to step. */
  readonly #cells: Mutable<CellWork>[] = []
  readonly #decodes: Mutable<StepDecode>[] = []

  constructor(shape: EngineShape, draft: DraftMaker | null = null) {
    this.#vocabSize = shape.vocabSize
    this.#draft = draft
  }

  get numLive(): number {
    return this.#live.size
  }

  begin({ admit, cells, decodes }: StepCommand): StepWork {
    for (const spec of admit) this.#admit(spec)
    resize(this.#cells, cells.length, () => ({ cellTokens: 0, contextTokens: 0 }))
    for (let place = 0; place < cells.length; place++) {
      const work = this.#cells[place]!
      work.cellTokens = cells[place]!.count
      work.contextTokens = cells[place]!.start
    }
    resize(this.#decodes, decodes.length, () => ({ contextTokens: 0, nodes: 0 }))
    for (let place = 0; place < decodes.length; place++) {
      const { handle, tree } = decodes[place]!
      const sequence = this.#get(handle)
      const work = this.#decodes[place]!
      this.#decoding[place] = sequence
      work.contextTokens = sequence.promptLen + sequence.numEmitted
      work.nodes = tree === null ? 0 : tree.tokenIds.length
    }
    return { cells: this.#cells, decodes: this.#decodes }
  }

  apply(command: EngineCommand): EngineResult {
    switch (command.kind) {
      case 'step':
        return this.#step(command)
      case 'export-blocks':
        return { kind: 'export-blocks', bytes: NO_BYTES }
      case 'install-blocks':
        return { kind: 'install-blocks' }
      case 'reset':
        this.#live.clear()
        return { kind: 'reset' }
    }
  }

  #step({ stepId, cells, decodes, release, draft }: StepCommand): StepResult {
    const tokens: StepTokens[] = []
    for (const { sampleHandles } of cells) for (const handle of sampleHandles) tokens.push(this.#sample(handle, this.#get(handle), null))
    for (let place = 0; place < decodes.length; place++) {
      const { handle, tree, forced } = decodes[place]!
      if (!forced) tokens.push(this.#sample(handle, this.#decoding[place]!, tree))
    }
    for (const handle of release) this.#live.delete(handle)
    const drafts = draft === undefined || this.#draft === null ? {} : { drafts: this.#draftTrees(draft, this.#draft) }
    return { kind: 'step', stepId, tokens, stepMs: 0, runMs: 0, cpuMs: 0, runCpuMs: 0, ...drafts }
  }

  #admit({ handle, sequence, promptIds, emittedIds, sampling }: SequenceSpec): void {
    this.#live.set(handle, {
      firstToken: firstToken(sampling.seed, sequence, this.#vocabSize),
      maxTokens: sampling.maxTokens,
      promptLen: promptIds.length,
      numEmitted: emittedIds.length,
      hasFinished: false,
    })
  }

  /** Its next token, and those of the tree that it happens to guess. */
  #sample(handle: number, sequence: LightSequence, tree: TokenTree | null): StepTokens {
    const tokenIds = [this.#emit(sequence)]
    for (let node = -1; tree !== null && !sequence.hasFinished;) {
      const parent = node
      node = tree.parents.findIndex((above, child) => above === parent && tree.tokenIds[child] === tokenIds.at(-1))
      if (node < 0) break
      tokenIds.push(this.#emit(sequence))
    }
    return { handle, tokenIds, logprobs: null, finish: sequence.hasFinished ? 'length' : null, stopTokenId: null }
  }

  #emit(sequence: LightSequence): number {
    if (sequence.hasFinished) throw new Error('engine: a sequence is decoded after its end')
    const tokenId = (sequence.firstToken + sequence.numEmitted) % this.#vocabSize
    sequence.numEmitted += 1
    sequence.hasFinished = sequence.numEmitted >= sequence.maxTokens
    return tokenId
  }

  #draftTrees(wish: DraftWish, maker: DraftMaker): StepDrafts {
    const trees = wish.handles.flatMap((handle) => {
      const sequence = this.#live.get(handle)
      if (sequence === undefined || sequence.hasFinished) return []
      const { firstToken: first, numEmitted, maxTokens } = sequence
      const nextToken = (path: readonly number[]): number | null => (numEmitted + path.length + 1 >= maxTokens ? null : (first + numEmitted + path.length) % this.#vocabSize)
      const tree = maker(wish, mixDigest(first, numEmitted), nextToken)
      return tree.tokenIds.length === 0 ? [] : [{ handle, tree }]
    })
    return { trees, draftMs: 0, draftCpuMs: 0, problem: null }
  }

  #get(handle: number): LightSequence {
    const sequence = this.#live.get(handle)
    if (sequence === undefined) throw new Error(`engine: handle ${handle} is not admitted`)
    return sequence
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function resize<T>(items: T[], length: number, make: () => T): void {
  while (items.length < length) items.push(make())
  items.length = length
}
