// What drafting brought beside what was promised of it, by load: forecasts lean on means, and on costs that are linear.

/** Loads of 1, 2-3, 4-7, ... sequences are each a load of their own. */
const NUM_LOADS = 10
/** Older steps fade over about this many; a fresh load is taken to keep its promises for a few. */
const MEMORY_STEPS = 100
const GUESS_STEPS = 8
/** No forecast is off by more. */
const MAX_RATIO = 1.5

/** Per sequence; what was promised for the time that it took. */
interface Account {
  promisedTokens: number
  tokens: number
}

const loadOf = (numSequences: number): number => Math.min(NUM_LOADS - 1, 31 - Math.clz32(Math.max(1, numSequences)))

export class KeptPromises {
  readonly #accounts: readonly Account[] = Array.from({ length: NUM_LOADS }, () => ({ promisedTokens: GUESS_STEPS, tokens: GUESS_STEPS }))

  /** Goodput kept, of what was promised. */
  ratio(numSequences: number): number {
    const { promisedTokens, tokens } = this.#accounts[loadOf(numSequences)]!
    return Math.min(MAX_RATIO, Math.max(1 / MAX_RATIO, tokens / promisedTokens))
  }

  /** A step that drafted and verified. Goodput in tokens per millisecond; every step counts alike, however large. */
  observe(numSequences: number, promisedGoodput: number, { tokens, ms }: { readonly tokens: number; readonly ms: number }): void {
    const promised = promisedGoodput * ms
    if (!(promised > 0)) return
    const account = this.#accounts[loadOf(numSequences)]!
    const keep = 1 - 1 / MEMORY_STEPS
    account.promisedTokens = account.promisedTokens * keep + promised / numSequences
    account.tokens = account.tokens * keep + tokens / numSequences
  }
}
