// What drafting costs, corrected by what it really took.
import { LearntCost } from './learnt-cost.ts'
import type { CostTerm } from './learnt-cost.ts'

/** Of a draft model that was never timed, in decodes of the target: small drafts cost a few percent of one per level. Per call, level, row. */
const GUESSES: readonly number[] = [0.01, 0.03, 0.01]
const DOUBTS: readonly number[] = [0.01, 0.03, 0.02]
const LEAST: readonly number[] = [0, 0.0005, 0.0005]

/** What one drafting did: levels of the deepest tree, and nodes of all trees together that something was to grow from. */
export interface DraftWork {
  readonly numSequences: number
  readonly levels: number
  readonly nodes: number
}

export class DraftCost {
  readonly #cost: LearntCost
  readonly #features = new Float64Array(GUESSES.length)

  /** `plainMs`: a decode of one sequence by the target. `callMs`: guess of what each call takes beside that. */
  constructor(plainMs: number, callMs = 0) {
    const termOf = (guess: number, place: number): CostTerm => ({ guess: guess * plainMs, doubt: DOUBTS[place]! * plainMs, least: LEAST[place]! * plainMs })
    this.#cost = new LearntCost(GUESSES.map(termOf).map((term, place) => (place === 0 ? { ...term, guess: term.guess + callMs, doubt: term.doubt + callMs } : term)))
  }

  predictMs(work: DraftWork): number {
    return this.#cost.predict(this.#featuresOf(work))
  }

  observe(work: DraftWork, draftMs: number): void {
    this.#cost.observe(this.#featuresOf(work), draftMs)
  }

  /** A row computes one sequence's root, or a node that something may grow from. */
  #featuresOf({ numSequences, levels, nodes }: DraftWork): Float64Array {
    this.#features.set([1, levels, numSequences + nodes])
    return this.#features
  }
}
