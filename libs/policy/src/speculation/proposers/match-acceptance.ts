// How likely a token that followed an earlier occurrence of the last tokens follows again, by the length of the match.
import { MAX_MATCH, MIN_MATCH } from './token-chains.ts'

/** What a fresh table believes, and for how many observations' worth. */
const PRIOR_RATIO = 0.3
const PRIOR_WEIGHT = 8
/** Older observations fade over about this many. */
const MEMORY = 500

export class MatchAcceptance {
  readonly #accepted = new Float64Array(MAX_MATCH + 1).fill(PRIOR_RATIO * PRIOR_WEIGHT)
  readonly #seen = new Float64Array(MAX_MATCH + 1).fill(PRIOR_WEIGHT)

  /** Estimated probability that the continuation holds for one more token. */
  ratio(matchTokens: number): number {
    const length = clamped(matchTokens)
    return this.#accepted[length]! / this.#seen[length]!
  }

  learn(matchTokens: number, accepted: boolean): void {
    const length = clamped(matchTokens)
    const keep = this.#seen[length]! >= MEMORY ? 1 - 1 / MEMORY : 1
    this.#accepted[length] = this.#accepted[length]! * keep + Number(accepted)
    this.#seen[length] = this.#seen[length]! * keep + 1
  }
}

function clamped(matchTokens: number): number {
  return Math.min(MAX_MATCH, Math.max(MIN_MATCH, matchTokens))
}
