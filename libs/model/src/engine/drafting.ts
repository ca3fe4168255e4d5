// The draft model inside the engine's worker: after a step's runs it proposes trees for the sequences that the command names.
//
// 1. Nothing here runs, and nothing is allocated, in a step whose command asks for no drafts.
// 2. A draft model that fails is dropped for good and the failure is told once; the engine goes on without drafts.
import type { DraftModel } from '../drafter/draft-model.ts'
import type { DraftRequest } from '../drafter/draft-runner.ts'
import type { EngineSequence } from './sequence.ts'
import type { DraftWish, SequenceDraft, StepDrafts } from './step.ts'

export interface DraftClocks {
  readonly wallMs: () => number
  readonly cpuMs: () => number
}

export interface DraftingOptions extends DraftClocks {
  readonly model: Pick<DraftModel, 'propose' | 'forget'>
  /** Longest prompt + output of the target. */
  readonly maxModelLen: number
}

export class StepDrafting {
  readonly #options: DraftingOptions
  #isDropped = false

  constructor(options: DraftingOptions) {
    this.#options = options
  }

  /** Trees below the last tokens of the wanted sequences that are ready to decode and may still emit more than one token. */
  async draft(wish: DraftWish, sequenceOf: (handle: number) => EngineSequence | undefined): Promise<StepDrafts> {
    if (this.#isDropped) return { trees: [], draftMs: 0, draftCpuMs: 0, problem: null }
    const { model, wallMs, cpuMs } = this.#options
    const [startMs, startCpuMs] = [wallMs(), cpuMs()]
    const spent = (): Pick<StepDrafts, 'draftMs' | 'draftCpuMs'> => ({ draftMs: wallMs() - startMs, draftCpuMs: cpuMs() - startCpuMs })
    const requests: DraftRequest[] = []
    for (const handle of wish.handles) {
      const request = this.#request(sequenceOf(handle))
      if (request !== null) requests.push(request)
    }
    try {
      const proposed = requests.length === 0 ? [] : await model.propose(requests, wish)
      const trees: SequenceDraft[] = []
      for (const [place, { handle }] of requests.entries()) {
        const tree = proposed[place]
        if (tree !== undefined && tree.tokenIds.length > 0) trees.push({ handle, tree })
      }
      return { trees, ...spent(), problem: null }
    } catch (error) {
      this.#isDropped = true
      return { trees: [], ...spent(), problem: error instanceof Error ? error.message : String(error) }
    }
  }

  /** The sequence is gone. Idempotent, also for sequences that were never drafted for. */
  forget(handle: number): void {
    if (!this.#isDropped) this.#options.model.forget(handle)
  }

  #request(sequence: EngineSequence | undefined): DraftRequest | null {
    if (sequence === undefined || sequence.isFinished || sequence.computedTokens !== sequence.tokens.length - 1) return null
    const { handle, sampler, tokens } = sequence
    const maxDepth = Math.min(sampler.params.maxTokens - sampler.emittedTokens, this.#options.maxModelLen - tokens.length) - 1
    return maxDepth < 1 ? null : { handle, tokens, sampler, maxDepth }
  }
}
