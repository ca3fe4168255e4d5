// How an engine is opened, and what it says once it is.
import type { EngineShape } from './step.ts'

export type ComputeDtype = 'float32' | 'int8'

/** Everything the worker needs; structured-clonable. */
export interface EngineOptions {
  /** Checkpoint directory. */
  readonly modelDir: string
  readonly dtype: ComputeDtype
  /** Digest of tokenizer and chat template: part of the fingerprint, not used otherwise. */
  readonly textDigest: string
  /** End-of-sequence ids; null: those of the checkpoint. */
  readonly eosTokenIds: readonly number[] | null
  /** Longest prompt + output; null: what the checkpoint allows. */
  readonly maxModelLen: number | null
  readonly blockSize: number
  readonly cellTokens: number
  /** KV arena size; at least one sequence of maxModelLen must fit. */
  readonly kvCacheBytes: number
  readonly intraOpThreads: number
  /** Where quantised weights and digests are kept. */
  readonly cacheDir: string
  /** Checkpoint directory of a draft model for the same tokenizer; null: none. @default null */
  readonly draft?: string | null
}

export interface EngineLoad {
  readonly shape: EngineShape
  readonly architecture: string
  readonly numParameters: number
  readonly kvBytesPerBlock: number
  readonly loadMs: number
  /** Of the draft model; null: there is none. */
  readonly draftParameters: number | null
}

export type EngineProgress = (stage: string, doneRatio: number | null) => void
