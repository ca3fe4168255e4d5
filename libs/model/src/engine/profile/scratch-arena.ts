// Sequences that exist only to be timed: no prompt is ever computed, their contexts are blocks of arbitrary values.
//
// 1. The engine serves nobody else meanwhile: scratch sequences take block ids and handles from 0 on.
// 2. Every block that a scratch sequence reads was written once: untouched memory is one shared page of zeros, and
//    reading it would be faster than reading real keys and values.
import type { SamplingParams } from '../../sampling/index.ts'
import type { Engine, StepCommand, StepResult, TokenTree } from '../step.ts'

/** Samples as most requests do; ends by nothing but the caller. */
export const SCRATCH_SAMPLING: SamplingParams = {
  maxTokens: 1_000_000, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
  logitBias: [], seed: 1, stopTokenIds: [], ignoreEos: true, logprobs: null,
}

const INSTALL_BYTES = 8 << 20

export class ScratchArena {
  readonly engine: Engine
  readonly sampling: SamplingParams
  #lastStepId = 0
  #lastHandle = 0
  #writtenBlocks = 0

  constructor(engine: Engine, sampling: SamplingParams = SCRATCH_SAMPLING) {
    this.engine = engine
    this.sampling = sampling
  }

  /** One step of what is given; the rest is empty. */
  async step(parts: Partial<Omit<StepCommand, 'kind' | 'stepId'>>): Promise<StepResult> {
    const empty = { admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [] }
    const result = await this.engine.execute({ kind: 'step', stepId: ++this.#lastStepId, ...empty, ...parts })
    if (result.kind !== 'step') throw new Error(`a step was answered with ${result.kind}`)
    return result
  }

  nextHandle(): number {
    return ++this.#lastHandle
  }

  /** Puts small values into blocks 0..count-1, each once in the arena's life. */
  async write(count: number): Promise<void> {
    if (count <= this.#writtenBlocks) return
    const sample = await this.engine.execute({ kind: 'export-blocks', blockIds: [0] })
    if (sample.kind !== 'export-blocks') throw new Error(`an export was answered with ${sample.kind}`)
    const blockBytes = sample.bytes.byteLength
    const perInstall = Math.max(1, Math.floor(INSTALL_BYTES / blockBytes))
    const bytes = contents(perInstall * blockBytes)
    while (this.#writtenBlocks < count) {
      const numBlocks = Math.min(perInstall, count - this.#writtenBlocks)
      const blockIds = Array.from({ length: numBlocks }, (_, index) => this.#writtenBlocks + index)
      await this.engine.execute({ kind: 'install-blocks', blockIds, bytes: bytes.subarray(0, numBlocks * blockBytes) })
      this.#writtenBlocks += numBlocks
    }
  }
}

/** Values in [-0.5, 0.5), finite and not denormal, as bytes. */
function contents(sizeBytes: number): Uint8Array {
  const values = new Float32Array(sizeBytes / Float32Array.BYTES_PER_ELEMENT)
  let state = 1
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    values[i] = state / 4_294_967_296 - 0.5
  }
  return new Uint8Array(values.buffer)
}

/** A tree of `numNodes` drafts, two to a parent, of tokens that will hardly be drawn. */
export function scratchTree(numNodes: number, vocabSize: number): TokenTree {
  const nodes = Array.from({ length: numNodes }, (_, node) => node)
  return { tokenIds: nodes.map((node) => (node * 7919 + 1) % vocabSize), parents: nodes.map((node) => Math.floor(node / 2) - 1) }
}
