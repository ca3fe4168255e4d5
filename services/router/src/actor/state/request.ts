// The records the router keeps: one per live request, one per choice of it, one per instance.
//
// 1. A request's state is the one place that says what it waits for; every structure that holds it follows from the state.
// 2. choice.tokenIds is the token log: its length is the next index to come, and it is never rewritten.
// 3. `instance.requests` holds exactly the requests whose state is dispatched or streaming on that instance, and
//    `instance.partnered` exactly those of which it is the partner. A request in any other state has no partner.
import type { Address, EffectId, SpanAttributes, TraceContext } from '@rubato/actor'
import type { Epoch, FinishReason, LoadMessage, LocatedMessage, SequenceTiming, TokenRun } from '@rubato/instance'
import type { SamplingParams, TokenLogprobs } from '@rubato/model'
import type { ClientEvent, ClientFinish, ClientRequest, TextLogprobs } from '../../client.ts'
import type { ClientId, RequestTrace, ServedModel, StopStringStream, TokenTextStream } from './messages.ts'
import type { ModelStats } from './stats.ts'

/** What an instance was given since it last reported. */
export interface SentLoad {
  prefillTokens: number
  sequences: number
  contextTokens: number
  blocks: number
}

/** An answer to `locate`, and who gave it. */
export interface Found {
  readonly instance: Instance
  readonly message: LocatedMessage
}

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
  readonly sent: SentLoad
  readonly requests: Set<LiveRequest>
  readonly partnered: Set<LiveRequest>
  /** The guarded request that it was let begin, and that has brought no token since. */
  onTrial: LiveRequest | null
  /** Once it is lost: what its last step had begun, as it said itself; null: it said nothing of that. */
  begunIds: readonly string[] | null
}

export type RequestState =
  | { readonly kind: 'tokenizing'; readonly effectId: EffectId }
  /** A resume: instances are asked whether they hold the request. */
  | { readonly kind: 'locating'; readonly untilMs: number; readonly asked: Set<Instance>; readonly answers: readonly Found[] }
  | { readonly kind: 'queued'; readonly sinceMs: number }
  /** Admitted; no instance can take it now. */
  | { readonly kind: 'waiting' }
  /** Admitted; the instance refused it because it holds the id under a higher epoch, and is asked whose that is. */
  | { readonly kind: 'contested'; readonly holder: Instance; readonly untilMs: number }
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

/** What ended a choice, as its client is told. */
export interface ChoiceEnd {
  readonly finish: FinishReason
  readonly stopReason: string | number | null
}

export interface Choice {
  readonly index: number
  readonly tokenIds: number[]
  /** Parallel to tokenIds where the request wants them: a client may come back for them. */
  readonly logprobs: TokenLogprobs[] | null
  detokenizer: TokenTextStream
  /** null without stop strings. */
  stopMatcher: StopStringStream | null
  /** Tokens below this the client has from an earlier stream: they and their text are not delivered. */
  deliverFrom: number
  /** Its prompt was echoed, or needs no echo. */
  started: boolean
  ended: boolean
  end: ChoiceEnd | null
  /** How the instance ended it; null while it has not. */
  finish: TokenRun['finish']
  /** It ended by a stop string: the instance learnt of it by an abort, not by itself. */
  cutByRouter: boolean
  firstTokenMs: number | null
  lastTokenMs: number | null
  /** Tokens before the clock started: those that another router had relayed. */
  numUnclocked: number
  timing: SequenceTiming | null
  ackDue: boolean
  gapAskedMs: number | null
  held: HeldDelta | null
}

/** A span that has begun. */
export interface OpenSpan {
  readonly context: TraceContext
  readonly startMs: number
  readonly attributes: SpanAttributes
}

export interface LiveRequest {
  /** Changes when the client comes back by another connection. */
  clientId: ClientId
  readonly arrival: number
  readonly priority: number
  request: ClientRequest
  readonly model: ServedModel
  readonly stats: ModelStats
  readonly seedIfNone: number
  /** Nobody can compute it again who does not know its seed. */
  readonly isSeedDrawn: boolean
  readonly submittedMs: number
  deadlineMs: number | null
  state: RequestState
  /** The other instance that may hold something of it: who decodes it after the hand-off, or who handed it over. */
  partner: Instance | null
  /** Its decode instance, lost before a token from there: the owner may have handed over to nobody. */
  lostPartner: Instance | null
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
  /** Instances in a row that died before they brought a token of it, and may have begun it. */
  numLosses: number
  /** Instances in a row that died before they brought a token of it, those too that had not begun it. */
  numDeaths: number
  /** Its instance holds it, or has been told to begin it, and no token came yet. */
  isGuarded: boolean
  numStalls: number
  /** Times that an instance refused it for another holder of its id. */
  numContests: number
  readonly trace: RequestTrace | null
  /** It was given to a prefill and a decode instance at least once. */
  wasPaired: boolean
  numDispatches: number
  dispatchSpan: OpenSpan | null
  /** Since when it recovers; null when it does not. */
  recoveringSinceMs: number | null
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
  const { kind } = request.state
  return kind === 'waiting' || kind === 'contested' || kind === 'dispatched' || kind === 'streaming'
}

/** Its decode instance is lost, and its prefill instance has said its first token: it may have handed over to nobody. */
export function isOrphanedPair(request: LiveRequest): boolean {
  return request.lostPartner !== null && request.unservedSinceMs === null
}

/** The streams of a choice before its first token. */
export function newTextStreams({ request, model, promptIds }: LiveRequest): Pick<Choice, 'detokenizer' | 'stopMatcher'> {
  return { detokenizer: model.text.detokenizer(promptIds), stopMatcher: request.stop.length === 0 ? null : model.text.stopMatcher(request.stop) }
}

export function newChoice(index: number, record: LiveRequest): Choice {
  const { request } = record
  const deliverFrom = request.resumeFrom?.[index] ?? 0
  return {
    index,
    tokenIds: [],
    logprobs: request.sampling.logprobs === null ? null : [],
    ...newTextStreams(record),
    deliverFrom,
    started: !request.echo || deliverFrom > 0,
    ended: false,
    end: null,
    finish: null,
    cutByRouter: false,
    firstTokenMs: null,
    lastTokenMs: null,
    numUnclocked: 0,
    timing: null,
    ackDue: false,
    gapAskedMs: null,
    held: null,
  }
}
