// What the speculation controller sees of a step and what it decides. Plain values.
import type { CellWork } from '../../cost-model/model.ts'
import type { CandidateTree } from '../candidates.ts'

/** One sequence that decodes in this step. */
export interface SpeculatingSequence {
  readonly contextTokens: number
  readonly acceptanceClass: number
  /** Per-output-token target of its request; null: none. */
  readonly tpotMs: number | null
  /** Since its first decode became possible, and tokens emitted since. AdaServe §3's l and o. */
  readonly elapsedMs: number
  readonly emittedTokens: number
  /** Tokens that it may still emit, >= 1. */
  readonly remainingTokens: number
  /** Proposed below its last token; null: nothing. */
  readonly tree: CandidateTree | null
}

export interface SpeculationSnapshot {
  readonly sequences: readonly SpeculatingSequence[]
  /** Prompt cells of the same step. */
  readonly cells: readonly CellWork[]
  /** Tokens that roots and nodes may take together. */
  readonly budgetTokens: number
}

/** How many of each sequence's candidates are verified: a prefix of its tree. */
export interface VerifyPlan {
  readonly numNodes: Int32Array
  /** Of them, those that a target needs: they go before prompt cells, the others behind. */
  readonly neededNodes: Int32Array
  /** Expected tokens per sequence, the guaranteed one included. */
  readonly expectedTokens: Float64Array
}

/** What is proposed for a step: `draft` by the draft model while the step before it runs, the others when it is planned. */
export type ProposalShape =
  | { readonly kind: 'off' }
  | { readonly kind: 'ngram' | 'suffix'; readonly maxTokens: number }
  | DraftShape

export interface DraftShape {
  readonly kind: 'draft'
  /** Levels, and nodes per level, at most. */
  readonly depth: number
  readonly width: number
  /** Path probability of the least likely node that is drafted, and of the least likely that something is grown from; 0: any. */
  readonly leastProbability: number
  readonly leastGrown: number
  /** Tokens per millisecond that it is to bring, drafting and all; null: that was not asked. */
  readonly promisedGoodput: number | null
  readonly trial: Trial | null
}

/**
 * A draft to learn from. `nothing` of it is verified unless that pays: it is compared with what the sequences emit; `sizes`: trees of
 * several sizes are, for what runs cost; `best`: what would be, had it been found to pay, for what it brings.
 */
export interface Trial {
  readonly maxSequences: number
  readonly verifies: 'nothing' | 'sizes' | 'best'
}

export const OFF: ProposalShape = { kind: 'off' }
