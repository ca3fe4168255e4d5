// From a submission to admission: checks, tokenising, the line at the door.
//
//   submit ──> tokenizing ──> queued ──> admitted (placement/placement.ts)
//     │            │  │          │
//     │            │  └─ a resume: locating (resume/locate.ts), then queued, or attached where it is
//     └────────────┴─────────────┴──> failed, with the field at fault or a hint when to retry
//
// 1. A request is refused for load only before it is accepted: `accepted` is said at admission, after which it keeps its slot.
// 2. tokenizing + queued + admitted never exceeds maxConcurrentRequests + queueSize, but for resumes of requests that the
//    cluster had accepted before.
import type { Outcome } from '@rubato/actor'
import type { ClientError } from '../client.ts'
import { enqueue, refusalForLoad } from './admission.ts'
import { checkLengths, checkSampling, checkShape, clientError, promptField, resolveSampling } from './checks.ts'
import { fail, outcomeOf } from './endings.ts'
import { locate } from './resume/locate.ts'
import { reattach } from './resume/reattach.ts'
import { isSameRequest } from './resume/same-request.ts'
import type { SubmitMessage } from './state/messages.ts'
import type { LiveRequest } from './state/request.ts'
import type { ModelEntry, RouterState } from './state/router-state.ts'

const NO_INSTANCE_RETRY_MS = 1000

export function submit(state: RouterState, message: SubmitMessage, nowMs: number): void {
  if (state.byClient.has(message.clientId)) return
  const entry = state.modelNamed(message.request.model)
  const live = state.byId.get(message.request.requestId)
  if (live !== undefined && live.model === entry?.model && isComingBack(live, message)) {
    reattach(state, live, message, nowMs)
    return
  }
  const refusal = entry === undefined ? unknownModel(state, message.request.model) : refusalAtOnce(state, message, entry, nowMs)
  if (entry === undefined || refusal !== null) {
    if (entry !== undefined && refusal !== null) entry.stats.requestsByOutcome[outcomeOf(refusal)] += 1
    if (refusal !== null) state.outbox.deliver(message.clientId, { kind: 'failed', error: refusal })
    return
  }
  const request = register(state, message, entry, nowMs)
  const { input } = request.request
  if (input.kind === 'tokens') prompted(state, request, input.tokenIds, nowMs)
  else {
    // A rendered chat brings its own special tokens.
    const effectId = state.outbox.tokenize(request.model.id, input, input.kind === 'text')
    request.state = { kind: 'tokenizing', effectId }
    state.byEffect.set(effectId, request)
    state.schedule(request, nowMs)
  }
}

export function onTokenized(state: RouterState, request: LiveRequest, outcome: Outcome, nowMs: number): void {
  switch (outcome.kind) {
    case 'done':
      prompted(state, request, outcome.value as readonly number[], nowMs)
      break
    case 'failed':
      fail(state, request, tokenizeError(request, outcome.error.code, outcome.error.message), nowMs)
      break
    case 'rejected':
      fail(state, request, clientError('resource_exhausted', 'too many prompts are being tokenised; retry later', { reason: 'queue_full', retryAfterMs: NO_INSTANCE_RETRY_MS }), nowMs)
      break
    case 'cancelled':
      fail(state, request, clientError('unavailable', 'the router is stopping', { reason: 'draining' }), nowMs)
      break
  }
}

function unknownModel(state: RouterState, name: string): ClientError {
  const known = [...state.models.keys()].map((id) => `\`${id}\``).join(', ')
  return clientError('not_found', `the model \`${name}\` does not exist; served here: ${known}`, { field: 'model', reason: 'model_not_found' })
}

/** The client of a live request lost its connection, and asks for the rest by another one. */
function isComingBack(live: LiveRequest, { request }: SubmitMessage): boolean {
  return request.resumeFrom !== null && checkShape(request, live.model) === null && isSameRequest(live.request, request)
}

/** Everything that can be said before the prompt is known; null: nothing speaks against it. */
function refusalAtOnce(state: RouterState, { request }: SubmitMessage, { model }: ModelEntry, nowMs: number): ClientError | null {
  if (state.draining) return clientError('unavailable', 'the router is stopping; use another one', { reason: 'draining', retryAfterMs: NO_INSTANCE_RETRY_MS })
  if (state.byId.has(request.requestId)) {
    return clientError('already_exists', `request_id \`${request.requestId}\` is in use by a live request`, { field: 'request_id', reason: 'request_id_in_use' })
  }
  const problem = checkShape(request, model)
  if (problem !== null) return problem
  if (request.remainingMs !== null && request.remainingMs <= 0) return clientError('deadline_exceeded', 'the deadline had passed when the request arrived')
  // A resume waits: the cluster took the request before, and this router may just have begun.
  if (request.resumeFrom === null && !state.instances.everServed(model.fingerprint)) {
    return clientError('unavailable', `no instance serves \`${model.id}\` yet`, { reason: 'no_instance', retryAfterMs: NO_INSTANCE_RETRY_MS })
  }
  // Judged when it is known whether an instance holds it.
  return request.resumeFrom === null ? refusalForLoad(state, nowMs) : null
}

function register(state: RouterState, message: SubmitMessage, { model, stats }: ModelEntry, nowMs: number): LiveRequest {
  const { clientId, request, seedIfNone, isSeedDrawn, trace } = message
  state.numArrivals += 1
  const record: LiveRequest = {
    clientId, request, seedIfNone, isSeedDrawn: (isSeedDrawn ?? false) && request.sampling.seed === null, model, stats,
    arrival: state.numArrivals, priority: request.priority, submittedMs: nowMs,
    deadlineMs: request.remainingMs === null ? null : nowMs + request.remainingMs,
    // Until the caller says what it waits for.
    state: { kind: 'tokenizing', effectId: 0 }, partner: null, lostPartner: null,
    promptIds: [], sampling: null, choices: [], epoch: null,
    admittedMs: null, unservedSinceMs: null, lastProgressMs: nowMs, probedMs: null, firstTokenMs: null,
    avoid: new Map(), recovered: false, numRecoveries: 0, numLosses: 0, numDeaths: 0, isGuarded: false, numStalls: 0, numContests: 0,
    trace: trace ?? null, wasPaired: false, numDispatches: 0, dispatchSpan: null, recoveringSinceMs: null,
    pausedSinceMs: null, heldEvents: [], checkAtMs: 0, heapIndex: null,
  }
  state.byClient.set(clientId, record)
  state.byId.set(request.requestId, record)
  state.numEntering += 1
  return record
}

/** The prompt is known: the remaining checks, then the line. */
function prompted(state: RouterState, record: LiveRequest, promptIds: readonly number[], nowMs: number): void {
  const { request, model, seedIfNone } = record
  const tooLong = checkLengths(request, promptIds.length, model)
  if (tooLong !== null) {
    fail(state, record, tooLong, nowMs)
    return
  }
  const sampling = resolveSampling({ request, numPromptTokens: promptIds.length, maxModelLen: model.maxModelLen, defaults: model.defaults, seedIfNone })
  const outOfRange = checkSampling(sampling, model, state.parts.validateSampling)
  if (outOfRange !== null) {
    fail(state, record, outOfRange, nowMs)
    return
  }
  record.promptIds = promptIds
  record.sampling = sampling
  if (request.resumeFrom === null) enqueue(state, record, nowMs)
  else locate(state, record, nowMs)
}

function tokenizeError(request: LiveRequest, code: string, message: string): ClientError {
  const field = promptField(request.request)
  switch (code) {
    case 'invalid_argument':
      return clientError('invalid_argument', message, { field })
    case 'resource_exhausted':
      return clientError('resource_exhausted', message, { reason: 'queue_full', retryAfterMs: NO_INSTANCE_RETRY_MS })
    case 'deadline_exceeded':
      return clientError('deadline_exceeded', message)
    case 'unavailable':
      return clientError('unavailable', message, { retryAfterMs: NO_INSTANCE_RETRY_MS })
    default:
      return clientError('internal', message, { field, reason: 'tokenize_failed' })
  }
}
