// The seam between the front doors (gRPC, HTTP) and the router actor: what a client asked, and what it is told.
// Front doors parse and validate their own wire format into a ClientRequest; everything that needs the model
// (context length, vocabulary) is checked by the router.
import type { TraceContext } from '@rubato/actor'
import type { Slo } from '@rubato/instance'
import type { SamplingParams, TokenLogprobs } from '@rubato/model'
import type { TraceParent } from '@rubato/telemetry'

export interface ChatMessage {
  readonly role: string
  readonly content: string
  readonly name?: string
}

export type ClientInput =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tokens'; readonly tokenIds: readonly number[] }
  | { readonly kind: 'chat'; readonly messages: readonly ChatMessage[] }

/** SamplingParams as a client may leave them: null means "the default". */
export interface ClientSampling extends Omit<SamplingParams, 'maxTokens' | 'seed' | 'temperature' | 'topP' | 'topK'> {
  /** null: as many as the context allows. */
  readonly maxTokens: number | null
  /** null: derived from the request id, so that any router computes the same tokens for it. */
  readonly seed: number | null
  /** null: generation_config.json's value where --generation-config auto, else 1. Likewise topP (1) and topK (off). */
  readonly temperature: number | null
  readonly topP: number | null
  readonly topK: number | null
}

export interface ClientRequest {
  readonly requestId: string
  readonly model: string
  readonly input: ClientInput
  readonly sampling: ClientSampling
  readonly n: number
  /** Stop strings, at most 16, none empty. */
  readonly stop: readonly string[]
  readonly slo: Slo
  readonly priority: number
  readonly cacheSalt: string
  /** Milliseconds left of the client's own deadline; null: none. */
  readonly remainingMs: number | null
  /** Put the prompt's text in front of each choice. */
  readonly echo: boolean
  /**
   * A client that comes back with the request_id of a stream that broke: tokens that it has already, one count per choice.
   * It is told what comes after them, in text that belongs to exactly those tokens. null: a new request.
   */
  readonly resumeFrom: readonly number[] | null
  /** The client's own span, as its traceparent says; null: it has none. */
  readonly trace: TraceParent | null
}

export interface Usage {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
}

export interface RequestTiming {
  readonly queueMs: number
  readonly prefillMs: number
  readonly ttftMs: number
  /** Mean gap after the first token; null with fewer than two tokens. */
  readonly tpotMs: number | null
  readonly acceptedDraftTokens: number
  readonly migrations: number
  readonly recoveries: number
}

export type ClientFinish = 'stop' | 'length' | 'cancelled' | 'error'

/** A logprob entry with its text as bytes, as OpenAI's `bytes` and `token` fields want. */
export interface TextLogprobs extends TokenLogprobs {
  readonly bytes: Uint8Array
  readonly topBytes: readonly Uint8Array[]
}

export type ClientErrorCode =
  | 'invalid_argument' | 'not_found' | 'already_exists' | 'resource_exhausted' | 'deadline_exceeded' | 'cancelled' | 'unavailable' | 'unauthenticated' | 'internal'

export interface ClientError {
  readonly code: ClientErrorCode
  readonly message: string
  /** Field at fault, in the vocabulary of the gRPC contract (e.g. `sampling.top_p`). */
  readonly field: string | null
  readonly retryAfterMs: number | null
  /** Stable machine-readable reason, e.g. `queue_full`, `request_quarantined`, `context_length_exceeded`. */
  readonly reason: string
}

export type ClientEvent =
  /** The request passed every check; sent before any delta. */
  | { readonly kind: 'accepted'; readonly promptTokens: number }
  /** New text of one choice. Text and tokens need not line up: bytes and stop-string prefixes are held back. */
  | {
      readonly kind: 'delta'
      readonly index: number
      readonly text: string
      readonly tokenIds: readonly number[]
      readonly logprobs: readonly TextLogprobs[] | null
      /** Set on the last delta of the choice. */
      readonly finish: ClientFinish | null
      /** Stop string or id that ended it, when finish is `stop` and it was not end-of-sequence. */
      readonly stopReason: string | number | null
    }
  /** All choices ended. Last event of a request that worked. */
  | { readonly kind: 'finished'; readonly usage: Usage; readonly timing: RequestTiming; readonly systemFingerprint: string }
  /** Last event of a request that failed, before or after deltas. */
  | { readonly kind: 'failed'; readonly error: ClientError }

/** Called synchronously, in order; must not throw. */
export type ClientSink = (event: ClientEvent) => void

/** What a front door may do with a request it submitted. All are idempotent and no-ops after the last event. */
export interface ClientHandle {
  /** The request's own span, for logs; absent: not traced. */
  readonly trace?: TraceContext
  /** The client left: frees everything that was held, sends nothing more. */
  cancel(): void
  /** The client reads slowly: no deltas until resume(); what comes meanwhile is coalesced, never dropped. */
  pause(): void
  resume(): void
}

export interface ModelCard {
  readonly id: string
  readonly maxModelLen: number
  readonly createdS: number
}

/** The router as the front doors see it. */
export interface RouterPort {
  submit(request: ClientRequest, sink: ClientSink): ClientHandle
  models(): readonly ModelCard[]
  /** True when some instance can serve. */
  ready(): boolean
  /** Off the event loop for long texts. Throws RubatoError `not_found` for an unknown model. */
  tokenize(model: string, input: ClientInput, addSpecialTokens: boolean): Promise<readonly number[]>
  detokenize(model: string, tokenIds: readonly number[]): Promise<string>
}
