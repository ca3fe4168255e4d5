// Executes draft commands over a draft model: keeps the tokens and the sampler of every sequence, the model keeps their KV.
import type { DraftModel } from '@rubato/model/drafter'
import { SequenceSampler } from '@rubato/model/sampling'
import type { SamplerShape } from '@rubato/model/sampling'
import type { DraftCommand, DraftOutcome, DraftRun, IntroducedSequence, WantedDraft } from './draft-command.ts'

export interface DrafterParts {
  readonly model: Pick<DraftModel, 'propose' | 'prepare' | 'lagOf' | 'forget'>
  readonly vocabSize: number
  /** Milliseconds of a monotonic clock, and of CPU time of this thread. */
  readonly wallMs: () => number
  readonly cpuMs: () => number
}

interface LiveSequence {
  readonly tokens: number[]
  readonly sampler: SequenceSampler
}

export class Drafter {
  readonly #parts: DrafterParts
  readonly #sequences = new Map<number, LiveSequence>()
  /** Samplers of one shape share their buffers. */
  readonly #shapes = new Map<string, SamplerShape>()

  constructor(parts: DrafterParts) {
    this.#parts = parts
  }

  get numSequences(): number {
    return this.#sequences.size
  }

  /** Throws where a command names a key that was not introduced, or the model fails. */
  async run({ forget, introduce, append, draft, prepare }: DraftCommand): Promise<DraftRun> {
    const { model, wallMs, cpuMs } = this.#parts
    const [startMs, startCpuMs] = [wallMs(), cpuMs()]
    for (const key of forget) {
      this.#sequences.delete(key)
      model.forget(key)
    }
    for (const sequence of introduce) this.#introduce(sequence)
    for (const { key, tokenIds } of append) this.#append(this.#get(key), tokenIds)
    const draftStartMs = wallMs()
    const drafted = await this.#draft(draft)
    const draftMs = draft.length === 0 ? 0 : wallMs() - draftStartMs
    const prepared: DraftOutcome[] = []
    for (const { key, maxTokens } of prepare) prepared.push(await this.#prepare(key, maxTokens))
    return { outcomes: [...drafted, ...prepared], draftMs, runMs: wallMs() - startMs, cpuMs: cpuMs() - startCpuMs }
  }

  #introduce({ key, introduction: { sequence, promptTokens, sampling }, eosTokenIds, tokenIds }: IntroducedSequence): void {
    const prompt = tokenIds.slice(0, promptTokens)
    const sampler = new SequenceSampler(sampling, this.#shapeOf(eosTokenIds), sequence, prompt, tokenIds.slice(promptTokens))
    this.#sequences.set(key, { tokens: [...tokenIds], sampler })
  }

  #append({ tokens, sampler }: LiveSequence, tokenIds: readonly number[]): void {
    for (const tokenId of tokenIds) {
      tokens.push(tokenId)
      sampler.commit(tokenId)
    }
  }

  async #draft(wanted: readonly WantedDraft[]): Promise<DraftOutcome[]> {
    const { model } = this.#parts
    const isReady = ({ key }: WantedDraft): boolean => model.lagOf(key, this.#get(key).tokens.length) === 0
    const ready = wanted.filter(isReady)
    const requests = ready.map(({ key, maxDepth, ...limits }) => ({ handle: key, ...this.#get(key), maxDepth, limits }))
    const trees = requests.length === 0 ? [] : await model.propose(requests, requests[0]!.limits)
    const byKey = new Map(ready.map(({ key }, place) => [key, trees[place]!]))
    return wanted.map(({ key }): DraftOutcome => {
      const tree = byKey.get(key)
      if (tree === undefined) return { key, state: 'behind', tree: null }
      const { tokenIds, parents, ranks, gaps } = tree
      return { key, state: 'ready', tree: tokenIds.length === 0 ? null : { tokenIds, parents, ranks, gaps } }
    })
  }

  async #prepare(key: number, maxTokens: number): Promise<DraftOutcome> {
    const { model } = this.#parts
    const { tokens } = this.#get(key)
    const hasRoom = await model.prepare({ handle: key, tokens }, maxTokens)
    return { key, state: !hasRoom ? 'no_room' : model.lagOf(key, tokens.length) > 0 ? 'behind' : 'ready', tree: null }
  }

  #get(key: number): LiveSequence {
    const sequence = this.#sequences.get(key)
    if (sequence === undefined) throw new Error(`sequence ${key} was not introduced`)
    return sequence
  }

  #shapeOf(eosTokenIds: readonly number[]): SamplerShape {
    const name = eosTokenIds.join()
    const shape = this.#shapes.get(name) ?? { vocabSize: this.#parts.vocabSize, eosTokenIds }
    this.#shapes.set(name, shape)
    return shape
  }
}
