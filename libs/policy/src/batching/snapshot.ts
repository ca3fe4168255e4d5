// What a batching policy sees and what it decides. Pure values, rebuilt by the instance each step; a policy keeps no state.

/** One sequence that is past its prompt and wants its next token. */
export interface DecodeDemand {
  readonly handle: number
  /** Tokens in KV once this step's token is written. */
  readonly contextTokens: number
  /** Per-output-token target of its request; null: none. */
  readonly tpotMs: number | null
  /** Milliseconds that its tokens so far came before their target; negative when behind. @default 0 */
  readonly aheadMs?: number
  /** Draft nodes that its target needs in this step: they go before cells. @default 0 */
  readonly nodes?: number
  /** Tokens that it will emit in this step. @default 1 */
  readonly expectedTokens?: number
}

/** One request whose prompt (or recomputed tail) is not yet in KV, in the order the instance would serve them. */
export interface PrefillDemand {
  readonly handle: number
  /** Sizes of its remaining cells in order, in tokens; never empty. */
  readonly cellTokens: readonly number[]
  /** Tokens already in KV. */
  readonly contextTokens: number
  /** Admitted (its blocks are reserved) or still waiting (admission costs blocks and a sequence slot). */
  readonly admitted: boolean
  /** Milliseconds until its first-token target; null: none. Negative when late. */
  readonly ttftSlackMs: number | null
}

export interface BatchingSnapshot {
  readonly decodes: readonly DecodeDemand[]
  readonly prefills: readonly PrefillDemand[]
  /** Sequence slots left under --max-num-seqs. */
  readonly freeSequenceSlots: number
  /** Hard cap on tokens of a step (--max-num-batched-tokens). */
  readonly maxBatchedTokens: number
  /** Measured over predicted step time of late: predictions are multiplied by it. */
  readonly correctionRatio: number
}

export interface CellGrant {
  readonly handle: number
  /** How many of its next cells run in this step, >= 1. */
  readonly numCells: number
}

/**
 * A step's plan. The instance admits waiting requests in the order granted and skips the rest of the grants at the
 * first one that finds no blocks.
 */
export interface BatchPlan {
  /** Decode all of `decodes` in this step, or none of them (prefill-only steps of the baselines). */
  readonly runDecodes: boolean
  readonly cells: readonly CellGrant[]
  /** Token budget the plan kept: decodes plus prefill tokens never exceed it, except that one cell always may run when nothing else does. */
  readonly budgetTokens: number
}

/** Decides one step. */
export type BatchingPolicy = (snapshot: BatchingSnapshot) => BatchPlan
