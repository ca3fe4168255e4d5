// The engine's vocabulary: what an instance asks of it and what comes back. The ONNX Runtime engine (on its worker
// thread) and the cost-model engines of the simulated shell both speak it. All values are structured-clonable.
//
// 1. A sequence is admitted once, named by a handle that the caller chose, and released once.
// 2. The engine is the only writer of the KV arena; callers name blocks by id and never touch their contents.
// 3. Commands run strictly in the order given; a failed step means the engine is gone (RubatoError `engine_failed`).
// 4. A handle that decodes before it had a cell or a sample of its own starts behind its prompt: with n > 1 another
//    handle's cells computed it (a choice that is recomputed samples nothing from them). `kvTokens` says otherwise.
import type { Calibration } from '@rubato/policy'
import type { DraftTree } from '../drafter/draft-tree.ts'
import type { SamplingParams, TokenLogprobs } from '../sampling/params.ts'

/** Engine-wide constants an instance plans with. */
export interface EngineShape {
  readonly modelFingerprint: string
  /** Tokens per KV block. */
  readonly blockSize: number
  /** C: prompts run in cells of this many tokens that start at its multiples (a multiple of blockSize). */
  readonly cellTokens: number
  /** Usable KV blocks, ids 0..numBlocks-1. */
  readonly numBlocks: number
  /** KV of one block over all layers, as export-blocks gives it. */
  readonly blockBytes: number
  readonly vocabSize: number
  readonly maxModelLen: number
  readonly eosTokenIds: readonly number[]
  /** How emitted tokens are recomputed: float32 replays them in cells, int8 as single-token steps (design: identity). */
  readonly replay: 'cells' | 'steps'
  /** It has a draft model. @default false */
  readonly canDraft?: boolean
  /** The CPU of the engine's thread is what bounds a step: cpuMs tells what it costs, however busy the machine is. @default false */
  readonly isCpuBound?: boolean
}

/** Everything the sampler needs to know of one sequence (one choice of a request). */
export interface SequenceSpec {
  /** Unique among live sequences of this engine. */
  readonly handle: number
  /** Index of the choice within its request: part of the noise key. */
  readonly sequence: number
  readonly promptIds: readonly number[]
  /** Tokens already emitted before this admission (recompute after preemption or recovery). */
  readonly emittedIds: readonly number[]
  readonly sampling: SamplingParams
  /**
   * Tokens whose KV its blocks hold already, installed from elsewhere: it goes on behind them, with a decode where they are
   * everything but the last token. @default none of its own
   */
  readonly kvTokens?: number
}

/** Computes tokens [start, start + count) of a sequence's prompt + emitted tokens and writes their KV. */
export interface Cell {
  readonly handle: number
  readonly start: number
  readonly count: number
  /**
   * Handles that sample their next token from the last row of this cell: empty unless it is the final one.
   * More than one when n > 1: the choices share the prompt's rows.
   */
  readonly sampleHandles: readonly number[]
}

/** A draft tree below a sequence's last token, parents before children. Node i is at depth depth(parent) + 1. */
export interface TokenTree {
  readonly tokenIds: readonly number[]
  /** Index of the parent node; -1 is the root (the sequence's last token). */
  readonly parents: readonly number[]
}

/** One decode (or verify) of a sequence: its last token goes in, at least one token comes out. */
export interface Decode {
  readonly handle: number
  readonly tree: TokenTree | null
  /** Replay of an already emitted token (recovery of int8): advances KV, samples nothing. */
  readonly forced: boolean
}

export interface StepCommand {
  readonly kind: 'step'
  readonly stepId: number
  readonly admit: readonly SequenceSpec[]
  /** Blocks appended to sequences' tables: sequence block i holds tokens [i * blockSize, (i + 1) * blockSize). */
  readonly appendBlocks: readonly { readonly handle: number; readonly blockIds: readonly number[] }[]
  /** Whole-block copies, done before any run of the step (copy on write of a shared last block). */
  readonly copyBlocks: readonly { readonly from: number; readonly to: number }[]
  /** One run each, in order. */
  readonly cells: readonly Cell[]
  /** One run per bucket of new tokens per request. */
  readonly decodes: readonly Decode[]
  /** Forgotten after the step's runs. Their blocks are the caller's to free once the step completes. */
  readonly release: readonly number[]
  /** Draft trees wanted once the step's runs are done, for the step after it. @default none, and no work for it */
  readonly draft?: DraftWish
  /** Debug and tests: return the raw logits rows of everything sampled in this step. */
  readonly returnLogits?: boolean
}

/** Asks the engine's draft model for a tree below the last token of each of these sequences, as it is after the step's runs. */
export interface DraftWish {
  /** Those that are released, finished, unknown or not ready to decode are skipped. */
  readonly handles: readonly number[]
  /** Levels, and nodes per level. */
  readonly depth: number
  readonly width: number
  readonly calibration: Calibration
  /** Path probability below which nothing is drafted, but for the likeliest first node; and below which nothing is grown from a node. @default 0 */
  readonly leastProbability?: number
  readonly leastGrown?: number
}

export interface SequenceDraft {
  readonly handle: number
  /** Never empty. */
  readonly tree: DraftTree
}

export interface StepDrafts {
  /** Of the sequences that have one. */
  readonly trees: readonly SequenceDraft[]
  /** Wall and CPU time of drafting: in neither stepMs nor cpuMs. */
  readonly draftMs: number
  readonly draftCpuMs: number
  /** Why the draft model was dropped, told once; null: it was not. */
  readonly problem: string | null
}

export type StepFinish = 'stop' | 'length'

/** What one sequence got from a step. */
export interface StepTokens {
  readonly handle: number
  /** At least one token; more when draft nodes were accepted. */
  readonly tokenIds: readonly number[]
  /** Parallel to tokenIds, present when the sequence asked for logprobs. */
  readonly logprobs: readonly TokenLogprobs[] | null
  /** Set when the last token ends the sequence (stop id or max tokens). The stop id itself is included in tokenIds. */
  readonly finish: StepFinish | null
  /** Id that ended the sequence when finish is `stop`. */
  readonly stopTokenId: number | null
  /** Only with returnLogits: parallel to tokenIds, gap of the best two perturbed logits. */
  readonly margins?: readonly number[]
}

export interface StepResult {
  readonly kind: 'step'
  readonly stepId: number
  readonly tokens: readonly StepTokens[]
  /** Wall time of the whole step inside the engine. */
  readonly stepMs: number
  /** Wall time inside model runs. */
  readonly runMs: number
  /** CPU time of the engine's thread for the whole step, and inside model runs. */
  readonly cpuMs: number
  readonly runCpuMs: number
  /** What was drafted; absent when the command asked for nothing or the engine has no draft model. */
  readonly drafts?: StepDrafts
  /** Only with returnLogits: raw rows of width vocabSize, in the order of `tokens` (all rows of a tree, root first). */
  readonly logits?: readonly { readonly handle: number; readonly rows: Float32Array }[]
}

/** Reads whole blocks out of the arena: per block, layers x (K, V) x [kvHeads, blockSize, headDim] in storage dtype. */
export interface ExportBlocksCommand {
  readonly kind: 'export-blocks'
  readonly blockIds: readonly number[]
}
export interface ExportBlocksResult {
  readonly kind: 'export-blocks'
  readonly bytes: Uint8Array
}
/** Writes whole blocks into the arena between steps; `bytes` is as exported. */
export interface InstallBlocksCommand {
  readonly kind: 'install-blocks'
  readonly blockIds: readonly number[]
  readonly bytes: Uint8Array
}
export interface InstallBlocksResult {
  readonly kind: 'install-blocks'
}

/** Forgets every sequence, for a caller that starts anew on the same engine: all blocks are free to be overwritten. */
export interface ResetCommand {
  readonly kind: 'reset'
}
export interface ResetResult {
  readonly kind: 'reset'
}

export type EngineCommand = StepCommand | ExportBlocksCommand | InstallBlocksCommand | ResetCommand
export type EngineResult = StepResult | ExportBlocksResult | InstallBlocksResult | ResetResult

/** Both engines: ONNX Runtime on a worker thread, cost model under virtual time. */
export interface Engine {
  readonly shape: EngineShape
  /** Rejects with RubatoError `engine_failed` when the engine died; it then serves nothing more. */
  execute(command: EngineCommand): Promise<EngineResult>
  /** Resolves once the engine is gone: null after close(), an error after a crash. */
  readonly closed: Promise<Error | null>
  close(): Promise<void>
}
