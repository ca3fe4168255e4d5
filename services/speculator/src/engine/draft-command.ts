// What the speculator's actor asks of its draft model, and what comes back. Structured-clonable.
//
// 1. Sequences are named by keys that are never used again.
// 2. Commands run in the order given; within one, in the order of its fields.
import type { AnsweredTree, DraftIntroduction } from '@rubato/model'
import type { Calibration } from '@rubato/policy'

export interface IntroducedSequence {
  readonly key: number
  readonly introduction: DraftIntroduction
  readonly eosTokenIds: readonly number[]
  /** All there are. */
  readonly tokenIds: readonly number[]
}

export interface WantedDraft {
  readonly key: number
  readonly maxDepth: number
  readonly depth: number
  readonly width: number
  readonly calibration: Calibration
  readonly leastProbability: number
}

export interface DraftCommand {
  readonly forget: readonly number[]
  readonly introduce: readonly IntroducedSequence[]
  readonly append: readonly { readonly key: number; readonly tokenIds: readonly number[] }[]
  /** Drafted together; those that are far behind are left out, and said so. */
  readonly draft: readonly WantedDraft[]
  /** KV computed ahead of their first drafts. */
  readonly prepare: readonly { readonly key: number; readonly maxTokens: number }[]
}

export type DraftedTree = Omit<AnsweredTree, 'handle' | 'numTokens'>

/** `behind`: it is to be prepared before it can be drafted for. `no_room`: it is too long, or others hold the KV. */
export type DraftState = 'ready' | 'behind' | 'no_room'

export interface DraftOutcome {
  readonly key: number
  readonly state: DraftState
  /** null: none was drafted, or nothing can come after its last token. */
  readonly tree: DraftedTree | null
}

export interface DraftRun {
  /** Of what was drafted or prepared, in the command's order. */
  readonly outcomes: readonly DraftOutcome[]
  /** Wall time of the drafts alone, and of the whole command; CPU time of its thread. */
  readonly draftMs: number
  readonly runMs: number
  readonly cpuMs: number
}
