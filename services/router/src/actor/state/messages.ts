// What the router actor is told, what it asks its shell to do, and what it is given to work with. The text machinery and
// the sampling checks come in from outside, so the actor itself knows no tokenizer.
import type { Address, CancelEffect, Effect, SendEffect, SpanEffect, TimerEffect, TraceContext } from '@rubato/actor'
import type { InstanceMessage, InstanceReport } from '@rubato/instance'
import type { SamplingParams } from '@rubato/model'
import type { DispatchPolicy } from '@rubato/policy'
import type { ClientEvent, ClientInput, ClientRequest } from '../../client.ts'

/** Names one submission; never used twice within a router's life. */
export type ClientId = number

export interface SubmitMessage {
  readonly kind: 'submit'
  readonly clientId: ClientId
  readonly request: ClientRequest
  /** Drawn outside, used when the request brings no seed. Safe integer >= 0. */
  readonly seedIfNone: number
  /** It was drawn, and no router will come upon it again. @default false */
  readonly isSeedDrawn?: boolean
  /** The request's own span; absent: it is not traced. */
  readonly trace?: RequestTrace
}

/** The context of `router.request`, and the client's span above it. */
export interface RequestTrace extends TraceContext {
  readonly parentSpanId: string | null
}

/** cancel: the client left. pause, resume: it reads slowly, it reads again. */
export interface ClientSignalMessage {
  readonly kind: 'cancel' | 'pause' | 'resume'
  readonly clientId: ClientId
}

/** Refuse what is new and finish what is live: the router is about to stop. */
export interface RouterDrainMessage {
  readonly kind: 'drain'
}

/** From the router's own process: an instance took its lease, or may have missed this router's first hello. */
export interface MemberJoinedMessage {
  readonly kind: 'member-joined'
  readonly address: Address
}

/** The lease at this address expired or was given back: what an instance held is lost, what a router had waits for another one. */
export interface MemberLostMessage {
  readonly kind: 'member-lost'
  readonly address: Address
}

export type FrontDoorMessage = SubmitMessage | ClientSignalMessage | RouterDrainMessage
export type RouterMessage = FrontDoorMessage | MemberJoinedMessage | MemberLostMessage | InstanceReport

/** Completes with `done` and the token ids (a plain array), or `failed` with the code of a RubatoError. */
export interface TokenizeEffect extends Effect {
  readonly kind: 'tokenize'
  readonly model: string
  readonly input: ClientInput
  readonly addSpecialTokens: boolean
}

export interface ClientDelivery {
  readonly clientId: ClientId
  readonly event: ClientEvent
}

/** Everything one message brought to clients, in order. */
export interface DeliverEffect extends Effect {
  readonly kind: 'deliver'
  readonly events: readonly ClientDelivery[]
}

export type RouterEffect = SendEffect<InstanceMessage> | TimerEffect | CancelEffect | TokenizeEffect | DeliverEffect | SpanEffect

/** Turns one choice's tokens into text; holds back bytes that are not yet a character. */
export interface TokenTextStream {
  push(tokenIds: ArrayLike<number>): string
  /** What is still held back, as replacement characters where it never became text. */
  flush(): string
}

/** Looks for stop strings across pushes; holds back what may be the beginning of one. */
export interface StopStringStream {
  /** `stopped` is the string that matched, null as long as none did; `emit` ends before it. */
  push(text: string): { readonly emit: string; readonly stopped: string | null }
  flush(): string
}

export interface TextStreams {
  /** A fresh stream for text that follows these tokens, whose own text it does not emit. */
  detokenizer(precedingTokens: readonly number[]): TokenTextStream
  stopMatcher(stops: readonly string[]): StopStringStream
  /** The bytes a token stands for. */
  tokenBytes(tokenId: number): Uint8Array
}

/** What a null temperature, top_p or top_k means for this model; null again: 1, 1 and off. */
export interface SamplingDefaults {
  readonly temperature: number | null
  readonly topP: number | null
  readonly topK: number | null
}

export interface ServedModel {
  readonly id: string
  readonly fingerprint: string
  readonly maxModelLen: number
  readonly vocabSize: number
  readonly eosTokenIds: readonly number[]
  readonly createdS: number
  readonly defaults: SamplingDefaults
  readonly text: TextStreams
}

export interface RouterConfig {
  /** null: no limit. */
  readonly maxConcurrentRequests: number | null
  /** Requests that may wait at the door beyond those. */
  readonly queueSize: number
  readonly queueTimeoutMs: number
  /** Instances that died in a row as they began a request, after which it fails `request_quarantined`; >= 1. */
  readonly migrationLimit: number
  readonly dispatch: DispatchPolicy
  /** Members from the start, greeted so that they report their load at once. In a cluster, membership says who is there. */
  readonly helloTo: readonly Address[]
  readonly timing: RouterTiming
}

export interface RouterTiming {
  readonly ackIntervalMs: number
  readonly tokenizeTimeoutMs: number
  /** How long an admitted request waits for an instance while none can take it. */
  readonly instanceWaitMs: number
  /** Without a token for this long the router looks after the request: asks for tokens again, then recovers it. */
  readonly probeMs: number
  /** An instance silent for this long gets no new request while others speak: it reports more often than that. */
  readonly quietMs: number
  /** An instance silent for this long loses its stalled requests while others speak. */
  readonly silenceMs: number
  /** Without a token for this long a request is recovered even if its instance still reports. */
  readonly noProgressMs: number
  /** A client paused for this long is given up. A backstop: front doors see sooner whether a client still reads. */
  readonly pauseTimeoutMs: number
  /** How long instances may take to say that they hold a request that a client resumes. */
  readonly locateMs: number
  /** After the first of them has spoken, how long to wait for one with a higher epoch. */
  readonly locateGraceMs: number
  /** Without a token for this long after the decode instance of a pair was lost, the prefill instance is taken to have handed over. */
  readonly partnerLossMs: number
}

export const ROUTER_TIMING: RouterTiming = {
  ackIntervalMs: 100,
  tokenizeTimeoutMs: 60_000,
  instanceWaitMs: 30_000,
  probeMs: 5_000,
  quietMs: 1_500,
  silenceMs: 5_000,
  noProgressMs: 120_000,
  pauseTimeoutMs: 300_000,
  locateMs: 500,
  locateGraceMs: 50,
  partnerLossMs: 2_000,
}

/** Throws RubatoError (InvalidArgument naming the field) when a parameter is out of range. */
export type SamplingCheck = (params: SamplingParams, limits: { readonly vocabSize: number; readonly eosTokenIds: readonly number[] }) => void

/** The actor's collaborators. `models` is never empty; the first serves requests that name no model. */
export interface RouterParts {
  readonly config: RouterConfig
  readonly models: readonly ServedModel[]
  readonly validateSampling: SamplingCheck
}
