// What an instance and a speculator say to each other. Plain values: they cross the in-process bus as they are and gRPC as
// proto/rubato/v1/draft.proto says. Times on the wire are remaining milliseconds.
//
// 1. A sequence is known by its handle, which its instance never uses again within one session: a handle is one stay of one
//    choice in one engine, so whatever raises a request's epoch and moves its KV gives it another handle.
// 2. Tokens only ever grow, and only what is new travels. What a speculator does not know it says so (`unknown`), and is told
//    everything again.
// 3. An answer is of use behind the very token it was asked for; anything else about it may be wrong and does no harm.
import type { Calibration } from '@rubato/policy'
import type { SamplingParams } from '../sampling/params.ts'

/** Who asks. */
export interface DraftPeer {
  readonly instanceId: string
  /** Digest of what token ids mean: drafts in another vocabulary are refused. */
  readonly vocabulary: string
  readonly vocabSize: number
  /** Nothing grows below a token that ends a sequence. */
  readonly eosTokenIds: readonly number[]
}

/** What a speculator must know of a sequence beside its tokens: with the same parameters and noise it guesses the target's own draws. */
export interface DraftIntroduction {
  /** Index of the choice within its request: part of the noise key. */
  readonly sequence: number
  /** The first tokens that are its prompt's. */
  readonly promptTokens: number
  readonly sampling: SamplingParams
}

/** A sequence's tokens from `firstToken` on, prompt and emitted. */
export interface DraftedTokens {
  readonly handle: number
  /** Set when it is told from its first token on. */
  readonly introduction: DraftIntroduction | null
  readonly firstToken: number
  readonly tokenIds: readonly number[]
}

/** A sequence that a tree is wanted for, below its last token. */
export interface AskedSequence extends DraftedTokens {
  /** Most levels worth drafting, >= 1: what it may still emit, less one. */
  readonly maxDepth: number
}

/** Trees for one step of an instance. */
export interface DraftAsk {
  /** Rises with every ask of a session. */
  readonly askId: number
  /** After this nobody waits for the answer. */
  readonly remainingMs: number
  /** Levels, and nodes per level. */
  readonly depth: number
  readonly width: number
  readonly calibration: Calibration
  /** Path probability below which nothing is wanted, but for the likeliest first node; 0: everything is. */
  readonly leastProbability: number
  readonly sequences: readonly AskedSequence[]
}

/** What is told without being asked for anything: sequences to come, whose KV can be computed ahead, and those that are gone. */
export interface DraftNews {
  readonly sequences: readonly DraftedTokens[]
  readonly forget: readonly number[]
}

/** Columns of a tree's nodes, parents before children. */
export interface AnsweredTree {
  readonly handle: number
  /** Tokens that the sequence had: the tree hangs on the last of them. */
  readonly numTokens: number
  readonly tokenIds: readonly number[]
  /** Index of the parent node; -1 is the sequence's last token. */
  readonly parents: readonly number[]
  /** Place among its siblings, and gap of perturbed logits: what acceptance is estimated from. */
  readonly ranks: readonly number[]
  readonly gaps: readonly number[]
}

export interface DraftAnswer {
  readonly askId: number
  /** Of those that have one; a sequence that still has to be caught up with has none. */
  readonly trees: readonly AnsweredTree[]
  /** Handles that are to be told from the first token on. */
  readonly unknown: readonly number[]
  /** From the ask's arrival to its first run, and in the runs that drafted for it. */
  readonly queueMs: number
  readonly draftMs: number
}

/**
 * `other_vocabulary`: for good. `malformed`: a message is none. `stranger`: there was no hello, or it was forgotten with everything
 * else. `draining` and `busy` pass.
 */
export type DraftRefusal = 'other_vocabulary' | 'malformed' | 'stranger' | 'draining' | 'busy'

/** Instance to speculator; hello first. */
export type DraftRequestMessage =
  | { readonly kind: 'draft-hello'; readonly peer: DraftPeer }
  | { readonly kind: 'draft-ask'; readonly ask: DraftAsk }
  | { readonly kind: 'draft-news'; readonly news: DraftNews }
  | { readonly kind: 'draft-bye' }

/** Speculator to instance. A refusal without an ask ends the session. */
export type DraftReplyMessage =
  | { readonly kind: 'draft-answer'; readonly answer: DraftAnswer }
  | { readonly kind: 'draft-refused'; readonly askId: number | null; readonly reason: DraftRefusal; readonly message: string }
