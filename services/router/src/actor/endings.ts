// How requests end, and what clients are told on the way. Ending frees everything the request held here and, unless the
// instance ended it itself, at its instances.
//
// 1. A client gets exactly one last event: finished or failed; a client that left gets none.
// 2. While a client is paused its events are kept, deltas merged per choice; resuming loses none and keeps their order.
import type { EffectId } from '@rubato/actor'
import type { ClientError, ClientEvent, RequestTiming, Usage } from '../client.ts'
import { endRequest } from './spans.ts'
import { instanceOf, isAdmitted } from './state/request.ts'
import type { Choice, Instance, LiveRequest } from './state/request.ts'
import type { RouterState } from './state/router-state.ts'
import type { RequestOutcome } from './state/stats.ts'

type DeltaEvent = Extract<ClientEvent, { readonly kind: 'delta' }>

/** Sends an event to the request's client, or keeps it while the client is paused. */
export function tell(state: RouterState, request: LiveRequest, event: ClientEvent): void {
  if (request.pausedSinceMs === null) state.outbox.deliver(request.clientId, event)
  else if (event.kind === 'delta') hold(request.choices[event.index]!, event)
  else request.heldEvents.push(event)
}

function hold(choice: Choice, event: DeltaEvent): void {
  choice.held ??= { text: '', tokenIds: [], logprobs: null, finish: null, stopReason: null }
  const { held } = choice
  held.text += event.text
  for (const tokenId of event.tokenIds) held.tokenIds.push(tokenId)
  if (event.logprobs !== null) {
    held.logprobs ??= []
    for (const entry of event.logprobs) held.logprobs.push(entry)
  }
  held.finish = event.finish
  held.stopReason = event.stopReason
}

export function pause(state: RouterState, request: LiveRequest, nowMs: number): void {
  if (request.pausedSinceMs !== null) return
  request.pausedSinceMs = nowMs
  state.schedule(request, nowMs)
}

/** Hands over what was kept: acceptance, then one delta per choice, then the last event. */
export function resume(state: RouterState, request: LiveRequest, nowMs: number): void {
  if (request.pausedSinceMs === null) return
  request.pausedSinceMs = null
  const events = request.heldEvents.splice(0)
  const first = events[0]?.kind === 'accepted' ? events.shift() : undefined
  if (first !== undefined) tell(state, request, first)
  for (const choice of request.choices) {
    const { held } = choice
    choice.held = null
    if (held !== null) tell(state, request, { kind: 'delta', index: choice.index, ...held })
  }
  for (const event of events) tell(state, request, event)
  if (request.state.kind === 'ended') forget(state, request)
  else state.schedule(request, nowMs)
}

/** All choices ended by themselves or by a stop string. */
export function finish(state: RouterState, request: LiveRequest, outcome: RequestOutcome, nowMs: number): void {
  acknowledgeLast(state, request)
  const timing = timingOf(request)
  const usage = usageOf(request)
  observe(request, usage, nowMs)
  close(state, request, { outcome, error: null }, nowMs)
  tell(state, request, { kind: 'finished', usage, timing, systemFingerprint: request.model.fingerprint })
  if (request.pausedSinceMs === null) forget(state, request)
}

/** Ends a request with an error, at whatever point it is. */
export function fail(state: RouterState, request: LiveRequest, error: ClientError, nowMs: number): void {
  abortEverywhere(state, request)
  close(state, request, { outcome: outcomeOf(error), error: error.reason }, nowMs)
  tell(state, request, { kind: 'failed', error })
  if (request.pausedSinceMs === null) forget(state, request)
}

/** The client left. */
export function cancel(state: RouterState, request: LiveRequest, nowMs: number): void {
  if (request.state.kind !== 'ended') {
    abortEverywhere(state, request)
    close(state, request, { outcome: 'cancelled', error: 'cancelled' }, nowMs)
  }
  forget(state, request)
}

/** Frees all that the request holds at its instance and at its partner. */
export function abortEverywhere(state: RouterState, request: LiveRequest): void {
  abortAt(state, request, instanceOf(request), null)
  abortAt(state, request, request.partner, null)
}

/** Frees what one choice of the request, or all of it (null), holds at the instance, if there is one. */
export function abortAt(state: RouterState, { request, epoch }: LiveRequest, instance: Instance | null, sequence: number | null): void {
  if (instance === null || epoch === null) return
  state.outbox.send(instance.address, { kind: 'abort', requestId: request.requestId, epoch, sequence })
}

/** Takes the request off its instances' records, without telling them. */
export function detach(state: RouterState, request: LiveRequest): void {
  request.partner?.partnered.delete(request)
  request.partner = null
  request.lostPartner = null
  const instance = instanceOf(request)
  if (instance === null) return
  instance.requests.delete(request)
  endTrial(state, request, instance)
  if (request.state.kind === 'dispatched') state.byEffect.delete(request.state.effectId)
}

/** The request brought a token, or left the instance: another suspect's turn, where the instance does not see to that itself. */
export function endTrial(state: RouterState, request: LiveRequest, instance: Instance): void {
  request.isGuarded = false
  if (instance.onTrial !== request) return
  instance.onTrial = null
  state.placementDue = true
}

export function outcomeOf(error: ClientError): RequestOutcome {
  switch (error.code) {
    case 'invalid_argument':
    case 'not_found':
    case 'already_exists':
    case 'unauthenticated':
      return 'invalid'
    case 'resource_exhausted':
    case 'unavailable':
      return 'refused'
    case 'deadline_exceeded':
      return 'deadline'
    case 'cancelled':
      return 'cancelled'
    case 'internal':
      return 'failed'
  }
}

/** A choice cut by a stop string still lives at the instance, as far as that knows; the rest only awaits its acknowledgement. */
function acknowledgeLast(state: RouterState, request: LiveRequest): void {
  const instance = instanceOf(request)
  const { epoch } = request
  if (instance === null || epoch === null) return
  if (request.choices.some((choice) => choice.cutByRouter)) {
    abortEverywhere(state, request)
    return
  }
  const acks = state.finalAcks.get(instance.address) ?? []
  for (const choice of request.choices) acks.push({ requestId: request.request.requestId, epoch, sequence: choice.index, nextIndex: choice.tokenIds.length })
  state.finalAcks.set(instance.address, acks)
}

interface Ending {
  readonly outcome: RequestOutcome
  readonly error: string | null
}

function close(state: RouterState, request: LiveRequest, { outcome, error }: Ending, nowMs: number): void {
  endRequest(state, request, error, nowMs)
  if (isAdmitted(request)) {
    state.numAdmitted -= 1
    state.rate.note(nowMs)
  }
  leaveState(state, request)
  request.state = { kind: 'ended' }
  request.stats.requestsByOutcome[outcome] += 1
  state.byId.delete(request.request.requestId)
  state.schedule(request, nowMs)
}

function leaveState(state: RouterState, request: LiveRequest): void {
  switch (request.state.kind) {
    case 'tokenizing':
      leaveTokenizing(state, request.state.effectId)
      break
    case 'locating':
      state.numEntering -= 1
      break
    case 'queued':
      state.line.remove(request)
      break
    case 'contested':
      break
    case 'waiting':
      state.unplaced.delete(request)
      break
    case 'dispatched':
    case 'streaming':
      detach(state, request)
      break
    case 'ended':
      break
  }
}

function leaveTokenizing(state: RouterState, effectId: EffectId): void {
  state.numEntering -= 1
  if (state.byEffect.delete(effectId)) state.outbox.cancel(effectId)
}

function forget(state: RouterState, request: LiveRequest): void {
  state.byClient.delete(request.clientId)
  state.deadlines.remove(request)
}

function usageOf(request: LiveRequest): Usage {
  const cachedTokens = Math.max(0, ...request.choices.map((choice) => choice.timing?.cachedTokens ?? 0))
  return {
    promptTokens: request.promptIds.length,
    cachedTokens: Math.min(cachedTokens, request.promptIds.length),
    completionTokens: request.choices.reduce((sum, choice) => sum + choice.tokenIds.length, 0),
  }
}

/** Queue time includes the wait at this router's door; tpot is the mean over choices that have one. */
function timingOf(request: LiveRequest): RequestTiming {
  const timings = request.choices.flatMap((choice) => (choice.timing === null ? [] : [choice.timing]))
  const doorMs = (request.admittedMs ?? request.submittedMs) - request.submittedMs
  const tpots = request.choices.map(tpotMsOf).filter((tpotMs) => tpotMs !== null)
  return {
    queueMs: doorMs + Math.max(0, ...timings.map((timing) => timing.queueMs)),
    prefillMs: Math.max(0, ...timings.map((timing) => timing.prefillMs)),
    ttftMs: (request.firstTokenMs ?? request.submittedMs) - request.submittedMs,
    tpotMs: tpots.length === 0 ? null : tpots.reduce((sum, tpotMs) => sum + tpotMs, 0) / tpots.length,
    acceptedDraftTokens: timings.reduce((sum, timing) => sum + timing.acceptedDraftTokens, 0),
    migrations: Math.max(0, ...timings.map((timing) => timing.migrations)),
    recoveries: request.numRecoveries,
  }
}

function tpotMsOf({ firstTokenMs, lastTokenMs, tokenIds, numUnclocked }: Choice): number | null {
  const numTokens = tokenIds.length - numUnclocked
  if (firstTokenMs === null || lastTokenMs === null || numTokens < 2) return null
  return (lastTokenMs - firstTokenMs) / (numTokens - 1)
}

function observe(request: LiveRequest, usage: Usage, nowMs: number): void {
  const { stats } = request
  const timing = timingOf(request)
  stats.promptTokensTotal += usage.promptTokens
  stats.acceptedDraftTokensTotal += timing.acceptedDraftTokens
  stats.migrationsTotal += timing.migrations
  stats.promptTokens.observe(usage.promptTokens)
  stats.generationTokens.observe(usage.completionTokens)
  stats.e2eSeconds.observe((nowMs - request.submittedMs) / 1000)
  // Unknown when stop strings cut every choice: instances tell their times with the last run.
  if (request.choices.some((choice) => choice.timing !== null)) {
    stats.queueSeconds.observe(timing.queueMs / 1000)
    stats.prefillSeconds.observe(timing.prefillMs / 1000)
  }
  if (request.firstTokenMs !== null) stats.decodeSeconds.observe((nowMs - request.firstTokenMs) / 1000)
  if (timing.tpotMs !== null) stats.tpotSeconds.observe(timing.tpotMs / 1000)
}
