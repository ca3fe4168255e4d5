// The records the router keeps: one per live request, one per choice of it, one per instance.
//
// 1. A request's state is the one place that says what it waits for; every structure that holds it follows from the state.
// 2. choice.tokenIds is the token log: its length is the next index to come, and it is never rewritten.
// 3. `instance.requests` holds exactly the requests whose state is dispatched or streaming on that instance.
import type { Address, EffectId } from '@rubato/actor'
import type { Epoch, LoadMessage, SequenceTiming } from '@rubato/instance'
import type { SamplingParams } from '@rubato/model'
import type { ClientEvent, ClientFinish, ClientRequest, TextLogprobs } from '../../client.ts'
import type { ClientId, ServedModel, StopStringStream, TokenTextStream } from './messages.ts'
import type { ModelStats } from './stats.ts'

export interface Instance {
  readonly id: string
  incarnation: number
  address: Address
  /** null until its first load report. */
  load: LoadMessage | null
  /** As reported, or as it said when it refused. */
  draining: boolean
  lastHeardMs: number
  /** Dispatched since the last report. */
  sentPrefillTokens: number
  sentSequences: number
  readonly requests: Set<LiveRequest>
  /** The one request here that crashed so often before its first token that it is watched alone. */
  suspect: LiveRequest | null
}

export type RequestState =
  | { readonly kind: 'tokenizing'; readonly effectId: EffectId }
  | { readonly kind: 'queued'; readonly sinceMs: number }
  /** Admitted; no instance can take it now. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'dispatched'; readonly instance: Instance; readonly effectId: EffectId }
  | { readonly kind: 'streaming'; readonly instance: Instance }
  /** Remembered only while a paused client has events to collect. */
  | { readonly kind: 'ended' }

/** What a choice said while its client was paused. */
export interface HeldDelta {
  text: string
  readonly tokenIds: number[]
  logprobs: TextLogprobs[] | null
  finish: ClientFinish | null
  stopReason: string | number | null
}

export interface Choice {
  readonly index: number
  readonly tokenIds: number[]
  readonly detokenizer: TokenTextStream
  /** null without stop strings. */
  readonly stopMatcher: StopStringStream | null
  /** Its prompt was echoed, or needs no echo. */
  started: boolean
  ended: boolean
  /** It ended by a stop string: the instance learnt of it by an abort, not by itself. */
  cutByRouter: boolean
  firstTokenMs: number | null
  lastTokenMs: number | null
  timing: SequenceTiming | null
  ackDue: boolean
  gapAskedMs: number | null
  held: HeldDelta | null
}

export interface LiveRequest {
  readonly clientId: ClientId
  readonly arrival: number
  readonly priority: number
  readonly request: ClientRequest
  readonly model: ServedModel
  readonly stats: ModelStats
  readonly seedIfNone: number
  readonly submittedMs: number
  readonly deadlineMs: number | null
  state: RequestState
  /** Empty until the prompt is known. */
  promptIds: readonly number[]
  sampling: SamplingParams | null
  choices: readonly Choice[]
  epoch: Epoch | null
  admittedMs: number | null
  /** Since when it has had no token from any instance: set at admission and at each loss, null once tokens flow. */
  unservedSinceMs: number | null
  lastProgressMs: number
  probedMs: number | null
  firstTokenMs: number | null
  /** Instances that refused it, and until when they are not asked again. */
  readonly avoid: Map<string, number>
  recovered: boolean
  numRecoveries: number
  /** Consecutive crashes before its first token on the instance. */
  numCrashes: number
  numStalls: number
  pausedSinceMs: number | null
  /** While paused: accepted, finished or failed. */
  readonly heldEvents: ClientEvent[]
  checkAtMs: number
  heapIndex: number | null
}

/** The instance that serves the request now, null when none does. */
export function instanceOf(request: LiveRequest): Instance | null {
  return request.state.kind === 'dispatched' || request.state.kind === 'streaming' ? request.state.instance : null
}

/** Holds one of the slots that maxConcurrentRequests counts. */
export function isAdmitted(request: LiveRequest): boolean {
  return request.state.kind === 'waiting' || request.state.kind === 'dispatched' || request.state.kind === 'streaming'
}

export function newChoice(index: number, { request, model, promptIds }: LiveRequest): Choice {
  return {
    index,
    tokenIds: [],
    detokenizer: model.text.detokenizer(promptIds),
    stopMatcher: request.stop.length === 0 ? null : model.text.stopMatcher(request.stop),
    started: !request.echo,
    ended: false,
    cutByRouter: false,
    firstTokenMs: null,
    lastTokenMs: null,
    timing: null,
    ackDue: false,
    gapAskedMs: null,
    held: null,
  }
}
