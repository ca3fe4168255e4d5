// One request as its client saw it, in virtual time.
import type { Slo } from '@rubato/instance'
import type { ClientRequest, RequestTiming, Usage } from '@rubato/service-router'

export type SimRequestEnd = 'finished' | 'failed' | 'cancelled'

export interface SimRequestRecord {
  readonly requestId: string
  readonly numPromptTokens: number
  /** Choices. */
  readonly n: number
  readonly slo: Slo
  readonly priority: number
  /** null once it ended, unless tokens are kept: prompts of a large experiment would fill the memory. */
  readonly request: ClientRequest | null
  /** As its router was told, or its own. */
  readonly seed: number
  readonly arrivedMs: number
  /** Of any choice; null: none yet. */
  readonly firstTokenMs: number | null
  readonly lastTokenMs: number | null
  readonly endedMs: number | null
  /** Received, over all choices. */
  readonly numTokens: number
  /** Milliseconds before each token but the first of a choice; tokens that came together: the gap, then zeros. Empty unless kept. */
  readonly gapsMs: Float32Array
  /** Per choice; null unless kept. */
  readonly tokenIds: readonly (readonly number[])[] | null
  /** null: under way. cancelled: its client left. */
  readonly end: SimRequestEnd | null
  /** `reason: message` where it failed. */
  readonly error: string | null
  /** Times that it came back by its id after its router was gone. */
  readonly resumes: number
  /** As the router says at the end; null before, and where it failed. Migrations and recoveries are in timing. */
  readonly usage: Usage | null
  readonly timing: RequestTiming | null
  /**
   * Tokens that were skipped, or missing where it finished; tokens that came again. 0 unless something is broken. Told by light
   * engines' tokens as they come; with checked engines at the end, where tokens are kept and no stop string was given.
   */
  readonly numLostTokens: number
  readonly numDuplicatedTokens: number
}
