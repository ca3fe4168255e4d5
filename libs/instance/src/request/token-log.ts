// The emitted tokens of one choice, and which of them the router still has to acknowledge.
//
// 1. Token ids are kept whole: recompute needs them. Logprobs are kept only until acknowledged.
// 2. ackedIndex never falls; a run never starts below it.
import type { TokenLogprobs } from '@rubato/model'
import type { TokenRun } from '../messages.ts'

export type SequenceFinish = NonNullable<TokenRun['finish']>
/** A TokenRun without the names of its request. */
export type LoggedRun = Pick<TokenRun, 'firstIndex' | 'tokenIds' | 'logprobs' | 'start' | 'finish'>

export class TokenLog {
  readonly #tokenIds: number[]
  /** Logprobs of tokens ackedIndex.. when the request wants them. */
  readonly #logprobs: TokenLogprobs[] | null
  #ackedIndex: number
  #finish: SequenceFinish | null = null

  /** `emittedIds` are tokens that the router already has. */
  constructor(emittedIds: readonly number[], wantsLogprobs: boolean) {
    this.#tokenIds = [...emittedIds]
    this.#logprobs = wantsLogprobs ? [] : null
    this.#ackedIndex = emittedIds.length
  }

  /** A live view, not a copy. */
  get tokenIds(): readonly number[] {
    return this.#tokenIds
  }

  get length(): number {
    return this.#tokenIds.length
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
    const numNew = Math.min(nextIndex, this.#tokenIds.length) - this.#ackedIndex
    if (numNew <= 0) return
    this.#ackedIndex += numNew
    this.#logprobs?.splice(0, numNew)
  }

  /** Unacknowledged tokens from fromIndex on; null when there is nothing to say. */
  runFrom(fromIndex: number): LoggedRun | null {
    const firstIndex = Math.min(Math.max(fromIndex, this.#ackedIndex), this.#tokenIds.length)
    if (firstIndex === this.#tokenIds.length && this.#finish === null) return null
    const logprobs = this.#logprobs?.slice(firstIndex - this.#ackedIndex) ?? null
    return { firstIndex, tokenIds: this.#tokenIds.slice(firstIndex), logprobs, finish: this.#finish }
  }
}
