// What a swarm looks for: the invariants of a cluster, and the first of them that does not hold.

export const INVARIANTS = [
  /** Every token index of every choice reaches its client once, in order. */
  'exactly-once',
  /** Tokens are those that one undisturbed engine gives. */
  'identity',
  /** Blocks of every instance add up; engines are asked for nothing impossible. */
  'conservation',
  /** A step's tokens stay within the budget. */
  'budget',
  /** One instance at a time speaks for a request under one epoch, and nobody listens to an older one. */
  'fencing',
  /** What has ended holds nothing. */
  'leak',
  /** An accepted request is served. */
  'dropped',
  /** Every request ends in bounded time. */
  'unfinished',
  /** No actor throws. */
  'crash',
] as const

export type Invariant = (typeof INVARIANTS)[number]

export interface Violation {
  readonly invariant: Invariant
  readonly message: string
  readonly atMs: number
  /** What it is about, as traces name it: requests and addresses. */
  readonly about: readonly string[]
}

/** Keeps the first violation of a run. */
export class Verdict {
  readonly #nowMs: () => number
  #violation: Violation | null = null

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  get violation(): Violation | null {
    return this.#violation
  }

  fail(invariant: Invariant, message: string, about: readonly string[] = []): void {
    this.#violation ??= { invariant, message, about, atMs: this.#nowMs() }
  }

  /** What it throws violates the invariant. */
  check(invariant: Invariant, about: readonly string[], proof: () => void): void {
    try {
      proof()
    } catch (error) {
      this.fail(invariant, error instanceof Error ? error.message : String(error), about)
    }
  }
}
