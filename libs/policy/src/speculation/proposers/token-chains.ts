// An index of one sequence's tokens that finds where its last tokens stood before: hash chains over n-grams of the least length.
//
// 1. Tokens are only appended; each costs O(1).
// 2. A lookup walks at most `MAX_OCCURRENCES` earlier places, the latest first.

/** Shortest and longest suffix that counts as a match: prompt lookup's usual setting. */
export const MIN_MATCH = 2
export const MAX_MATCH = 8
const MAX_OCCURRENCES = 32

export interface Occurrence {
  /** Index of the token behind the match. */
  readonly next: number
  /** Tokens in which it agrees with the end of the sequence; MIN_MATCH..MAX_MATCH. */
  readonly matchTokens: number
}

export class TokenChains {
  readonly tokens: number[] = []
  /** Place behind the latest occurrence of an n-gram, and for each place the one before with the same n-gram; 0: none. */
  readonly #latest = new Map<number, number>()
  readonly #earlier: number[] = [0]

  get length(): number {
    return this.tokens.length
  }

  append(tokenIds: Iterable<number>): void {
    for (const tokenId of tokenIds) {
      this.tokens.push(tokenId)
      const end = this.tokens.length
      const key = this.#keyAt(end)
      this.#earlier.push(key === null ? 0 : (this.#latest.get(key) ?? 0))
      if (key !== null) this.#latest.set(key, end)
    }
  }

  /** Earlier places where the last tokens stood, the latest first. */
  occurrences(): readonly Occurrence[] {
    const found: Occurrence[] = []
    for (let next = this.#earlier[this.tokens.length]!; next > 0 && found.length < MAX_OCCURRENCES; next = this.#earlier[next]!) {
      const matchTokens = this.#matchAt(next)
      // Different n-grams may share a key.
      if (matchTokens >= MIN_MATCH) found.push({ next, matchTokens })
    }
    return found
  }

  /** Of the n-gram that ends before `end`. */
  #keyAt(end: number): number | null {
    if (end < MIN_MATCH) return null
    let key = 0
    for (let back = MIN_MATCH; back > 0; back -= 1) key = (Math.imul(key, 0x01000193) ^ this.tokens[end - back]!) | 0
    return key
  }

  #matchAt(next: number): number {
    const end = this.tokens.length
    let length = 0
    while (length < MAX_MATCH && length < next && this.tokens[next - 1 - length] === this.tokens[end - 1 - length]) length += 1
    return length
  }
}
