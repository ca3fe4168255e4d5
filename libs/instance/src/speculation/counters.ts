// What speculation did so far: sums since the incarnation began, for load reports.

import type { RemoteDraftLoad } from './remote/remote-counters.ts'

/** Deeper positions are counted with the last one. */
const NUM_POSITIONS = 8

export interface SpeculationLoad {
  /** What is proposed now: `off`, `ngram`, `suffix` or `draft`. */
  readonly proposer: string
  /** Levels and nodes per level of drafts, tokens of a lookup; 0 when off. */
  readonly depth: number
  readonly width: number
  /** The draft model works. */
  readonly canDraft: boolean
  /** Why it was dropped; null: it was not. */
  readonly draftProblem: string | null
  /** Trees verified, their nodes, and those of them that the target drew: drafted tokens that were emitted. */
  readonly draftsTotal: number
  readonly draftTokensTotal: number
  readonly acceptedTokensTotal: number
  /** Accepted by position, the last entry for all deeper ones. */
  readonly acceptedByPosition: readonly number[]
  /** Nodes verified because a target needed them; the others because they were worth it. */
  readonly neededTokensTotal: number
  readonly draftMsTotal: number
  /** Steps with decodes, and those of them that verified nothing. */
  readonly stepsTotal: number
  readonly plainStepsTotal: number
  /** Emitted over expected tokens of verified trees, per class of acceptance. */
  readonly calibrationRatios: readonly number[]
  /** Absent: it asks no speculators. */
  readonly remote?: RemoteDraftLoad
}

export class SpeculationCounters {
  draftsTotal = 0
  draftTokensTotal = 0
  acceptedTokensTotal = 0
  neededTokensTotal = 0
  draftMsTotal = 0
  stepsTotal = 0
  plainStepsTotal = 0
  readonly acceptedByPosition: number[] = Array.from({ length: NUM_POSITIONS }, () => 0)

  verified(numNodes: number, neededNodes: number, acceptedTokens: number): void {
    this.draftsTotal += 1
    this.draftTokensTotal += numNodes
    this.neededTokensTotal += neededNodes
    this.acceptedTokensTotal += acceptedTokens
    for (let position = 0; position < acceptedTokens; position += 1) this.acceptedByPosition[Math.min(position, NUM_POSITIONS - 1)]! += 1
  }

  step(isPlain: boolean): void {
    this.stepsTotal += 1
    if (isPlain) this.plainStepsTotal += 1
  }
}
