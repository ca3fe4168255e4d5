// What computes a draft model's logits: the kernels for small models, the target's graph for all others.
import type { SequenceSampler } from '../sampling/index.ts'
import type { GrowLimits, TreeGrower } from './tree-grower.ts'

export interface DraftRequest {
  readonly handle: number
  /** Everything committed: prompt and emitted. */
  readonly tokens: readonly number[]
  /** The sequence's own: same parameters, same noise as the target's draws. */
  readonly sampler: SequenceSampler
  /** Most levels worth drafting: what the sequence may still emit, less one. */
  readonly maxDepth: number
  /** Its own, where a batch is of several. @default those of the batch */
  readonly limits?: DraftLimits
}

export interface DraftLimits extends GrowLimits {
  readonly depth: number
}

/** A sequence that has blocks. */
export interface Resident {
  readonly blocks: number[]
  /** Committed tokens in KV. Only the runner changes it. */
  computedTokens: number
}

/** A sequence whose tree is being grown. */
export interface Growing {
  readonly request: DraftRequest
  readonly limits: DraftLimits
  readonly resident: Resident
  readonly grower: TreeGrower
}

/** Lag that is computed together with the first level; more is caught up before. */
export const INLINE_LAG = 8

export interface DraftRunner {
  readonly blockSize: number
  readonly numBlocks: number
  /** Longest sequence it drafts for. */
  readonly maxModelLen: number
  /** Tokens that a sequence's blocks must hold beside the committed ones. */
  treeTokens(limits: DraftLimits): number
  /** Computes committed tokens until at most INLINE_LAG and the last one are left. */
  catchUp(tokens: readonly number[], resident: Resident): Promise<void>
  /** Computes what the next level of every tree grows from, and grows it. */
  growLevel(active: readonly Growing[]): Promise<void>
}
