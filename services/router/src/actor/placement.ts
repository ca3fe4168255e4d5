// Which instance serves a request, and what happens when that instance is lost.
//
//   admitted ──> dispatched ──> streaming          waiting: no instance can take it now
//      │  ^          │ refused, send failed │
//      v  │          v                      v lost
//    waiting <───────┴──────────────────────┘  (next dispatch carries the emitted tokens and a higher epoch)
//
// 1. Every dispatch draws a new, higher epoch.recovery; whatever an earlier owner still says is ignored.
// 2. A request whose instances crashed migrationLimit times before its first token there is given up (request_quarantined).
//    One crash short of that it is placed only where no other such suspect is, so that the next crash convicts the right one.
import type { GenerateMessage, GoneMessage, LoadMessage, RefusedMessage } from '@rubato/instance'
import type { Address } from '@rubato/actor'
import type { ClientError } from '../client.ts'
import { clientError, promptField } from './checks.ts'
import { leastLoaded } from './dispatch.ts'
import type { DispatchCandidate } from './dispatch.ts'
import { detach, fail } from './endings.ts'
import { instanceOf } from './state/request.ts'
import type { Instance, LiveRequest } from './state/request.ts'
import type { RouterState } from './state/router-state.ts'

/** How long an instance that refused a request without a hint is not asked again. */
const AVOID_MS = 500

interface Candidate extends DispatchCandidate {
  readonly instance: Instance
}

/** Dispatches the request, lets it wait for an instance, or gives it up when it has waited too long. Its state must hold no instance. */
export function place(state: RouterState, request: LiveRequest, nowMs: number): void {
  const chosen = leastLoaded(candidates(state, request, nowMs), request.request.requestId)
  if (chosen !== null) {
    state.unplaced.delete(request)
    dispatch(state, request, chosen.instance, nowMs)
    return
  }
  request.state = { kind: 'waiting' }
  state.unplaced.add(request)
  const tooLate = waitedTooLong(state, request, nowMs)
  if (tooLate === null) state.schedule(request, nowMs)
  else fail(state, request, tooLate, nowMs)
}

function waitedTooLong(state: RouterState, request: LiveRequest, nowMs: number): ClientError | null {
  const { timing } = state.parts.config
  const sinceMs = request.unservedSinceMs ?? nowMs
  const hasInstance = state.instances.serving(request.model.fingerprint).length > 0
  if (sinceMs + (hasInstance ? timing.noProgressMs : timing.instanceWaitMs) > nowMs) return null
  const reason = hasInstance ? 'no_capacity' : 'no_instance'
  return clientError('unavailable', `no instance could take the request within ${Math.round(nowMs - sinceMs)} ms`, { reason, retryAfterMs: 1000 })
}

/** Tries every request that waits for an instance: recovered ones first, then by priority and arrival. */
export function placeWaiting(state: RouterState, nowMs: number): void {
  state.placementDue = false
  const waiting = [...state.unplaced].sort(
    (a, b) => Number(b.recovered) - Number(a.recovered) || a.priority - b.priority || a.arrival - b.arrival,
  )
  for (const request of waiting) place(state, request, nowMs)
}

/** Any word from an instance: keeps its record, and recovers what an earlier incarnation of it held. */
export function hear(state: RouterState, report: { readonly instanceId: string; readonly incarnation: number }, from: Address, nowMs: number): Instance | null {
  const { instance, lost } = state.instances.hear(report.instanceId, report.incarnation, from, nowMs)
  if (lost !== null) recoverAll(state, lost, nowMs)
  return instance
}

export function onLoad(state: RouterState, message: LoadMessage, from: Address, nowMs: number): void {
  const instance = hear(state, message, from, nowMs)
  if (instance === null) return
  state.instances.report(instance, message)
  state.placementDue = true
}

export function onGone(state: RouterState, message: GoneMessage, nowMs: number): void {
  const lost = state.instances.remove(message, nowMs)
  if (lost !== null) recoverAll(state, lost, nowMs)
}

export function onRefused(state: RouterState, message: RefusedMessage, nowMs: number): void {
  const request = state.byId.get(message.requestId)
  const instance = request === undefined ? null : instanceOf(request)
  if (request === undefined || instance === null || instance.id !== message.instanceId) return
  if (request.epoch?.recovery !== message.epoch.recovery || request.epoch.hop !== message.epoch.hop) return
  if (message.reason === 'too_long') {
    fail(state, request, clientError('invalid_argument', message.message, { field: promptField(request.request), reason: 'context_length_exceeded' }), nowMs)
    return
  }
  if (message.reason === 'draining') instance.draining = true
  else request.avoid.set(instance.id, nowMs + (message.retryAfterMs ?? AVOID_MS))
  detach(state, request)
  request.unservedSinceMs ??= nowMs
  place(state, request, nowMs)
}

/** The dispatch never left: nothing is held anywhere. */
export function onSendFailed(state: RouterState, request: LiveRequest, nowMs: number): void {
  const instance = instanceOf(request)
  if (instance === null) return
  request.avoid.set(instance.id, nowMs + AVOID_MS)
  detach(state, request)
  request.unservedSinceMs ??= nowMs
  place(state, request, nowMs)
}

/** Takes a request away from an instance that crashed or no longer serves it, and places it again. */
export function recover(state: RouterState, request: LiveRequest, cause: 'crash' | 'stall', nowMs: number): void {
  const wasUnserved = request.unservedSinceMs !== null
  detach(state, request)
  request.state = { kind: 'waiting' }
  state.unplaced.add(request)
  if (cause === 'crash') request.numCrashes = wasUnserved ? request.numCrashes + 1 : 0
  if (request.numCrashes >= state.parts.config.migrationLimit) {
    const message = `${request.numCrashes} instances crashed in a row as they began this request; it is not tried again`
    fail(state, request, clientError('internal', message, { reason: 'request_quarantined' }), nowMs)
    return
  }
  request.recovered = true
  request.numRecoveries += 1
  request.stats.recoveriesTotal += 1
  request.unservedSinceMs = nowMs
  for (const choice of request.choices) choice.gapAskedMs = null
  place(state, request, nowMs)
}

/** An instance spoke for the request under a higher hop: it owns it now. */
export function adopt(state: RouterState, request: LiveRequest, owner: Instance, hop: number): void {
  detach(state, request)
  request.epoch = { recovery: request.epoch!.recovery, hop }
  request.state = { kind: 'streaming', instance: owner }
  owner.requests.add(request)
}

function recoverAll(state: RouterState, lost: Instance, nowMs: number): void {
  const requests = [...lost.requests].sort((a, b) => a.arrival - b.arrival)
  for (const request of requests) recover(state, request, 'crash', nowMs)
}

function candidates(state: RouterState, request: LiveRequest, nowMs: number): Candidate[] {
  for (const [instanceId, untilMs] of request.avoid) if (untilMs <= nowMs) request.avoid.delete(instanceId)
  const isSuspect = request.numCrashes > 0 && request.numCrashes >= state.parts.config.migrationLimit - 1
  const serving = state.instances
    .serving(request.model.fingerprint)
    .filter((instance) => !request.avoid.has(instance.id) && !(isSuspect && instance.suspect !== null))
  const speaking = serving.filter((instance) => nowMs - instance.lastHeardMs < state.parts.config.timing.silenceMs)
  return (speaking.length > 0 ? speaking : serving).map(candidate)
}

function candidate(instance: Instance): Candidate {
  const { load } = instance
  return {
    instance,
    instanceId: instance.id,
    pendingPrefillTokens: (load?.pendingPrefillTokens ?? 0) + instance.sentPrefillTokens,
    numSequences: (load?.numRunning ?? 0) + (load?.numWaiting ?? 0) + instance.sentSequences,
    freeBlocksRatio: load === null || load.totalBlocks === 0 ? 1 : (load.freeBlocks + load.cachedBlocks) / load.totalBlocks,
  }
}

function dispatch(state: RouterState, request: LiveRequest, instance: Instance, nowMs: number): void {
  state.lastRecovery += 1
  request.epoch = { recovery: state.lastRecovery, hop: 0 }
  const message = generateMessage(request, nowMs)
  const effectId = state.outbox.send(instance.address, message)
  state.byEffect.set(effectId, request)
  request.state = { kind: 'dispatched', instance, effectId }
  request.lastProgressMs = nowMs
  request.probedMs = null
  instance.requests.add(request)
  instance.sentSequences += request.choices.length - message.finishedSequences.length
  instance.sentPrefillTokens += message.promptIds.length + message.emittedIds.reduce((sum, ids) => sum + ids.length, 0)
  if (request.numCrashes > 0 && request.numCrashes >= state.parts.config.migrationLimit - 1) instance.suspect = request
  state.schedule(request, nowMs)
}

function generateMessage(record: LiveRequest, nowMs: number): GenerateMessage {
  const { request, deadlineMs, choices } = record
  return {
    kind: 'generate',
    requestId: request.requestId,
    epoch: record.epoch!,
    promptIds: record.promptIds,
    // Copies: in one process the message is not serialised, and the log grows on.
    emittedIds: choices.map((choice) => choice.tokenIds.slice()),
    finishedSequences: choices.filter((choice) => choice.ended).map((choice) => choice.index),
    sampling: record.sampling!,
    slo: request.slo,
    priority: request.priority,
    cacheSalt: request.cacheSalt,
    remainingMs: deadlineMs === null ? null : Math.max(1, deadlineMs - nowMs),
    recovered: record.recovered,
  }
}
