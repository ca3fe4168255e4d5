// Lookups of one instance: when they are made, and how far what they propose is trusted.
//
// 1. They cost no run: every token that the target draws labels what was proposed for its place, verified or not.
// 2. Where none has been worth verifying for long, most steps make none, and keep no index.
import type { CandidateTree, DecidedNode } from '../candidates.ts'
import { MatchAcceptance } from '../proposers/match-acceptance.ts'
import { MAX_PROPOSED, proposeByLookup, proposeBySuffix } from '../proposers/propose.ts'
import type { TokenChains } from '../proposers/token-chains.ts'
import { NUM_CLASSES } from './acceptance-book.ts'
import type { SpeculationPolicy } from './policy.ts'
import type { ProposalShape } from './snapshot.ts'

/** Steps with lookups of which none was verified, before only one step in so many looks. */
const PATIENCE_STEPS = 64
const ASLEEP_STEPS = 16

export class Lookups {
  readonly #mode: SpeculationPolicy['lookup']
  /** By class of acceptance: greedy output repeats itself as sampled output does not. */
  readonly #acceptance = Array.from({ length: NUM_CLASSES }, () => new MatchAcceptance())
  #unusedSteps = 0

  constructor(mode: SpeculationPolicy['lookup']) {
    this.#mode = mode
  }

  areWanted(shape: ProposalShape, stepNumber: number): boolean {
    if (this.#mode === 'beside') return this.#unusedSteps < PATIENCE_STEPS || stepNumber % ASLEEP_STEPS === 0
    return this.#mode === 'as-shaped' && (shape.kind === 'ngram' || shape.kind === 'suffix')
  }

  /** null: the last tokens never stood before, or nothing may be proposed. */
  propose(shape: ProposalShape, acceptanceClass: number, chains: TokenChains, maxTokens: number): CandidateTree | null {
    const isShaped = shape.kind === 'ngram' || shape.kind === 'suffix'
    const most = Math.min(maxTokens, isShaped ? shape.maxTokens : MAX_PROPOSED)
    if (most < 1) return null
    const acceptance = this.#acceptance[acceptanceClass]!
    return shape.kind === 'suffix' ? proposeBySuffix(chains, acceptance, most) : proposeByLookup(chains, acceptance, most)
  }

  learn(acceptanceClass: number, nodes: readonly DecidedNode[]): void {
    for (const { gap, accepted } of nodes) this.#acceptance[acceptanceClass]!.learn(gap, accepted)
  }

  /** A step with lookups was planned: whether any of them is verified in it. */
  observe(isUsed: boolean): void {
    this.#unusedSteps = isUsed ? 0 : this.#unusedSteps + 1
  }
}
