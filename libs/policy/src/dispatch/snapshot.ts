// What a dispatch policy sees and what it decides. Plain values: the router fills them from load reports and what it has
// sent since, and acts on the decision.
import type { StepCostModel } from '../cost-model/model.ts'

/** One instance that could serve the request. Counts include what was dispatched since its last report. */
export interface DispatchInstance {
  readonly instanceId: string
  readonly role: 'prefill' | 'decode' | 'mixed'
  /** Prompt tokens that wait or are being computed. */
  readonly pendingPrefillTokens: number
  /** Sequences that decode or wait to. */
  readonly numSequences: number
  /** Their context tokens together. */
  readonly contextTokens: number
  /** Free or reclaimable. */
  readonly availableBlocks: number
  readonly totalBlocks: number
  /** Llumnix §1.3, as reported, less what was dispatched since. */
  readonly freenessBlocks: number
  readonly blockSize: number
  readonly blockBytes: number
  readonly cellTokens: number
  /** null: unknown; predictions then fall back to token counts. */
  readonly costModel: StepCostModel | null
  /** Leading prompt tokens that its prefix cache probably holds; an estimate, never relied on. */
  readonly hitTokens: number
  /** Whether it can send and receive KV. */
  readonly shipsKv: boolean
  /** What its pulls measured; null: none yet. */
  readonly pullBytesPerSec: number | null
}

export interface DispatchRequest {
  readonly requestId: string
  /** Counts up with every dispatch of this router. */
  readonly ordinal: number
  readonly promptTokens: number
  /** Tokens emitted before (recovery): they are computed again, on one instance. */
  readonly emittedTokens: number
  /** Most tokens that it may still emit, per choice. */
  readonly maxNewTokens: number
  readonly numChoices: number
  readonly ttftMs: number | null
  readonly tpotMs: number | null
  readonly priority: number
}

/** Predicted times, null where nothing is known. */
export interface DispatchForecast {
  readonly ttftMs: number | null
  readonly tpotMs: number | null
}

export type DispatchDecision =
  | { readonly kind: 'none' }
  | { readonly kind: 'colocated'; readonly instanceId: string; readonly forecast: DispatchForecast }
  | { readonly kind: 'disaggregated'; readonly prefillId: string; readonly decodeId: string; readonly forecast: DispatchForecast }

export type Placement = 'auto' | 'colocated' | 'disaggregated'

/** Pure and deterministic. Ties fall by a hash of request and instance, so that routers with one view do not herd. */
export type DispatchPolicy = (request: DispatchRequest, instances: readonly DispatchInstance[]) => DispatchDecision
