// The emitted tokens of one choice, and which of them the router still has to acknowledge.
//
// 1. Token ids and logprobs are kept whole: recompute needs the former, a router that takes the request over both.
// 2. A run never starts below ackedIndex, which falls only when another router takes over (rewind).
import type { TokenLogprobs } from '@rubato/model'
import type { TokenRun } from '../messages.ts'
import type { HandedSequence } from '../peer-messages.ts'

export type SequenceFinish = NonNullable<TokenRun['finish']>
/** A TokenRun without the names of its request. */
export type LoggedRun = Pick<TokenRun, 'firstIndex' | 'tokenIds' | 'logprobs' | 'start' | 'finish'>

export class TokenLog {
  readonly #tokenIds: number[]
  /** Logprobs of tokens logprobsFrom.. when the request wants them: those of a former dispatch are not known. */
  readonly #logprobs: TokenLogprobs[] | null
  readonly #logprobsFrom: number
  #ackedIndex: number
  #finish: SequenceFinish | null = null

  /** `emittedIds` are tokens that the router already has. */
  constructor(emittedIds: readonly number[], wantsLogprobs: boolean, from: Pick<HandedSequence, 'logprobs' | 'ackedIndex' | 'finish'> | null = null) {
    this.#tokenIds = [...emittedIds]
    this.#logprobs = wantsLogprobs ? [...(from?.logprobs ?? [])] : null
    this.#logprobsFrom = emittedIds.length - (this.#logprobs?.length ?? 0)
    this.#ackedIndex = from?.ackedIndex ?? emittedIds.length
    this.#finish = from?.finish ?? null
  }

  /** The log as another instance hands it over. */
  static handed(sequence: HandedSequence): TokenLog {
    return new TokenLog(sequence.tokenIds, sequence.logprobs !== null, sequence)
  }

  /** A live view, not a copy. */
  get tokenIds(): readonly number[] {
    return this.#tokenIds
  }

  get length(): number {
    return this.#tokenIds.length
  }

  get ackedIndex(): number {
    return this.#ackedIndex
  }

  /** How the choice ended; null: it goes on. */
  get end(): SequenceFinish | null {
    return this.#finish
  }

  /** Finished, and the router has every token. */
  get isSettled(): boolean {
    return this.#finish !== null && this.#ackedIndex === this.#tokenIds.length
  }

  append(tokenIds: readonly number[], logprobs: readonly TokenLogprobs[] | null): void {
    for (const tokenId of tokenIds) this.#tokenIds.push(tokenId)
    if (this.#logprobs !== null && logprobs !== null) for (const entry of logprobs) this.#logprobs.push(entry)
  }

  finish(finish: SequenceFinish): void {
    this.#finish = finish
  }

  /** Tokens below nextIndex arrived. Cumulative; late and repeated ones are no-ops. */
  acknowledge(nextIndex: number): void {
    this.#ackedIndex = Math.max(this.#ackedIndex, Math.min(nextIndex, this.#tokenIds.length))
  }

  /** Another router takes over that has the tokens below nextIndex alone. */
  rewind(nextIndex: number): void {
    this.#ackedIndex = Math.max(0, Math.min(nextIndex, this.#tokenIds.length))
  }

  /** Unacknowledged tokens from fromIndex on; null when there is nothing to say. Logprobs are null where some of them are not known. */
  runFrom(fromIndex: number): LoggedRun | null {
    const firstIndex = Math.min(Math.max(fromIndex, this.#ackedIndex), this.#tokenIds.length)
    if (firstIndex === this.#tokenIds.length && this.#finish === null) return null
    return { firstIndex, tokenIds: this.#tokenIds.slice(firstIndex), logprobs: this.#logprobsOf(firstIndex), finish: this.#finish }
  }

  /** What its router may lack, be it nothing: it tells who has the choice. */
  unheard(): LoggedRun {
    return this.runFrom(0) ?? { firstIndex: this.#tokenIds.length, tokenIds: [], logprobs: null, finish: null }
  }

  /** The log as it is handed to another instance; logprobs are whole or null. */
  handOver(): Pick<HandedSequence, 'tokenIds' | 'logprobs' | 'ackedIndex' | 'finish'> {
    return { tokenIds: this.#tokenIds.slice(), logprobs: this.#logprobsOf(0), ackedIndex: this.#ackedIndex, finish: this.#finish }
  }

  #logprobsOf(firstIndex: number): readonly TokenLogprobs[] | null {
    if (this.#logprobs === null || firstIndex < this.#logprobsFrom) return null
    return this.#logprobs.slice(firstIndex - this.#logprobsFrom)
  }
}
