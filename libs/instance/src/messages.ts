// What routers and instances say to each other. Plain values: they cross the in-process bus as they are and the network
// in msgpack. Times on the wire are remaining milliseconds.
import type { SamplingParams, TokenLogprobs } from '@rubato/model'

/** Fencing: compared lexicographically. Only the router raises `recovery`; only the current owner raises `hop`. */
export interface Epoch {
  readonly recovery: number
  readonly hop: number
}

export interface Slo {
  readonly ttftMs: number | null
  readonly tpotMs: number | null
}

export interface GenerateMessage {
  readonly kind: 'generate'
  readonly requestId: string
  readonly epoch: Epoch
  readonly promptIds: readonly number[]
  /** Per choice, tokens already emitted (recovery); all empty at first. Its length is n. */
  readonly emittedIds: readonly (readonly number[])[]
  /** Choices that had already finished before a recovery; they are not computed again. */
  readonly finishedSequences: readonly number[]
  readonly sampling: SamplingParams
  readonly slo: Slo
  /** Lower runs earlier. */
  readonly priority: number
  readonly cacheSalt: string
  readonly remainingMs: number | null
  /** Recovered requests bypass admission and go to the head of the queue. */
  readonly recovered: boolean
}

/** Frees everything that the request (or one choice of it) holds. Idempotent. */
export interface AbortMessage {
  readonly kind: 'abort'
  readonly requestId: string
  readonly epoch: Epoch
  /** null: all choices. */
  readonly sequence: number | null
}

/** Cumulative acknowledgement, every 100 ms: tokens below nextIndex arrived. */
export interface AckMessage {
  readonly kind: 'ack'
  readonly acks: readonly { readonly requestId: string; readonly epoch: Epoch; readonly sequence: number; readonly nextIndex: number }[]
}

/** The router saw a gap: send tokens from this index again. */
export interface ResendMessage {
  readonly kind: 'resend'
  readonly requestId: string
  readonly epoch: Epoch
  readonly sequence: number
  readonly fromIndex: number
}

/** Asks for an immediate load report to the sender; also how a router announces itself. */
export interface HelloMessage {
  readonly kind: 'hello'
}

export interface DrainMessage {
  readonly kind: 'drain' | 'undrain'
}

export type InstanceMessage = GenerateMessage | AbortMessage | AckMessage | ResendMessage | HelloMessage | DrainMessage

export type FinishReason = 'stop' | 'length'

/** Times of one choice, measured on the instance; milliseconds. */
export interface SequenceTiming {
  readonly queueMs: number
  readonly prefillMs: number
  readonly cachedTokens: number
  readonly preemptions: number
  readonly acceptedDraftTokens: number
  readonly migrations: number
}

/** New tokens of one choice. */
export interface TokenRun {
  readonly requestId: string
  readonly epoch: Epoch
  readonly sequence: number
  readonly firstIndex: number
  readonly tokenIds: readonly number[]
  readonly logprobs: readonly TokenLogprobs[] | null
  /** On the first run of a choice from this instance: a choice that the router cuts at a stop string has no last one. */
  readonly start?: Pick<SequenceTiming, 'queueMs' | 'prefillMs' | 'cachedTokens'>
  /** On the last run of a choice. */
  readonly finish: { readonly reason: FinishReason; readonly stopTokenId: number | null; readonly timing: SequenceTiming } | null
}

/** All new tokens of one step for one router: one message, however many sequences. */
export interface TokensMessage {
  readonly kind: 'tokens'
  readonly instanceId: string
  readonly incarnation: number
  readonly runs: readonly TokenRun[]
}

/** The instance did not take the request; nothing is held for it. */
export interface RefusedMessage {
  readonly kind: 'refused'
  readonly instanceId: string
  readonly requestId: string
  readonly epoch: Epoch
  readonly reason: 'draining' | 'no_capacity' | 'too_long' | 'superseded'
  readonly message: string
  readonly retryAfterMs: number | null
}

/** Registration and periodic report (every 200 ms while busy, every second while idle, at once on `hello`). */
export interface LoadMessage {
  readonly kind: 'load'
  readonly instanceId: string
  /** Rises with every restart of the instance's engine; a higher one means that all its requests are lost. */
  readonly incarnation: number
  readonly address: string
  readonly modelFingerprint: string
  readonly maxModelLen: number
  readonly draining: boolean
  readonly numRunning: number
  readonly numWaiting: number
  readonly pendingPrefillTokens: number
  readonly freeBlocks: number
  readonly cachedBlocks: number
  readonly totalBlocks: number
  readonly preemptionsTotal: number
  readonly prefixQueryTokensTotal: number
  readonly prefixHitTokensTotal: number
  readonly lastStepMs: number
}

/** The instance is gone: its engine died, or it left. Requests it held are lost with it. */
export interface GoneMessage {
  readonly kind: 'gone'
  readonly instanceId: string
  readonly incarnation: number
  readonly reason: string
}

/** Instance to router. */
export type InstanceReport = TokensMessage | RefusedMessage | LoadMessage | GoneMessage
