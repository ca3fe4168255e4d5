// What a policy is asked when it chooses what is proposed for the steps to come.
import type { ProposalShape, SpeculatingSequence } from './snapshot.ts'
import type { TreeCurve } from './tree-histogram.ts'

export interface ShapeQuestion {
  /** Never empty. */
  readonly sequences: readonly SpeculatingSequence[]
  readonly budgetTokens: number
  /** In force now. */
  readonly current: ProposalShape
  /** Steps with decodes so far. */
  readonly stepNumber: number
  /** The engine has a draft model that works. */
  readonly canDraft: boolean
  /** Sequences came or went since the last question. */
  readonly isNewLoad: boolean
  /** Expected tokens per sequence, averaged, with 0, 1, 2, ... nodes of a full draft verified: entry m for m nodes. */
  readonly draftTokens: (depth: number, width: number) => Float64Array
  /** What recent trees would have brought, averaged over the sequences. */
  readonly treeCurve: () => TreeCurve
  /** Goodput that drafting kept lately at this load, of what its forecasts promised. */
  readonly keptRatio: number
  /** Drafting so many levels and nodes per sequence. */
  readonly draftMs: (levels: number, nodes: number) => number
  /** Verifying `nodes` nodes per sequence. */
  readonly verifyMs: (nodes: number) => number
}

export interface ForecastStep {
  /** Expected tokens of all sequences together. */
  readonly tokens: number
  readonly ms: number
}

/** Tokens per millisecond. */
export const goodputOf = ({ tokens, ms }: ForecastStep): number => tokens / ms

/** Plain decoding. */
export function plainStep({ sequences, verifyMs }: Pick<ShapeQuestion, 'sequences' | 'verifyMs'>): ForecastStep {
  return { tokens: sequences.length, ms: verifyMs(0) }
}
