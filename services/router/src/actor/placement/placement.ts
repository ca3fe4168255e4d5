// Which instances serve a request: the policy decides, this file acts on it.
//
//   admitted ──> dispatched ──> streaming          waiting: no instance can take it now
//      │  ^          │ refused, send failed │      contested: the instance holds the id for somebody else (refusals.ts)
//      v  │          v                      v lost (losses.ts)
//    waiting <───────┴──────────────────────┘  (next dispatch carries the emitted tokens and a higher epoch)
//
// 1. Every dispatch draws a new, higher epoch.recovery; whatever an earlier owner still says is ignored.
// 2. A dispatch to a pair goes to its prefill instance, which owns the request until the other speaks under a higher hop.
// 3. A suspect is dispatched guarded: of those at one instance at most one has begun without a token, so that the next death
//    convicts the right one (losses.ts, 1). It goes to one instance alone.
import type { Epoch, GenerateMessage } from '@rubato/instance'
import type { DispatchDecision } from '@rubato/policy'
import type { ClientError } from '../../client.ts'
import { clientError } from '../checks.ts'
import { fail } from '../endings.ts'
import { beginDispatch } from '../spans.ts'
import type { Instance, LiveRequest } from '../state/request.ts'
import type { RouterState } from '../state/router-state.ts'
import { candidates, countSent, dispatchInstances, dispatchRequest, guards, isSuspected } from './candidates.ts'

interface Placed {
  readonly owner: Instance
  /** Who decodes after the hand-off; null: the owner itself. */
  readonly partner: Instance | null
  readonly forecast: Extract<DispatchDecision, { readonly forecast: unknown }>['forecast']
}

/** Dispatches the request, lets it wait for an instance, or gives it up when it has waited too long. Its state must hold no instance. */
export function place(state: RouterState, request: LiveRequest, nowMs: number): void {
  const placed = decide(state, request, nowMs)
  if (placed !== null) {
    state.unplaced.delete(request)
    dispatch(state, request, placed, nowMs)
    return
  }
  request.state = { kind: 'waiting' }
  state.unplaced.add(request)
  const tooLate = waitedTooLong(state, request, nowMs)
  if (tooLate === null) state.schedule(request, nowMs)
  else fail(state, request, tooLate, nowMs)
}

/** Tries every request that waits for an instance: recovered ones first, then by priority and arrival. */
export function placeWaiting(state: RouterState, nowMs: number): void {
  state.placementDue = false
  const waiting = [...state.unplaced].sort(
    (a, b) => Number(b.recovered) - Number(a.recovered) || a.priority - b.priority || a.arrival - b.arrival,
  )
  for (const request of waiting) place(state, request, nowMs)
}

/** The instance owns the request from the moment that this effect's message was sent to it. */
export function own(state: RouterState, request: LiveRequest, given: { readonly owner: Instance; readonly partner: Instance | null; readonly effectId: number; readonly isGuarded: boolean }, nowMs: number): void {
  const { owner, partner, effectId, isGuarded } = given
  state.unplaced.delete(request)
  state.byEffect.set(effectId, request)
  request.state = { kind: 'dispatched', instance: owner, effectId }
  request.partner = partner
  request.lostPartner = null
  request.isGuarded = isGuarded
  request.lastProgressMs = nowMs
  request.probedMs = null
  owner.requests.add(request)
  partner?.partnered.add(request)
  if (partner !== null) request.wasPaired = true
  if (isGuarded && !guards(owner)) owner.onTrial = request
  state.schedule(request, nowMs)
}

/** The epoch of the next dispatch or attachment: above every one that this router used, and above `held`. */
export function nextEpoch(state: RouterState, held: Epoch | null): Epoch {
  state.lastRecovery = Math.max(state.lastRecovery, held?.recovery ?? 0) + 1
  return { recovery: state.lastRecovery, hop: 0 }
}

function decide(state: RouterState, request: LiveRequest, nowMs: number): Placed | null {
  const instances = candidates(state, request, nowMs)
  if (instances.length === 0) return null
  const decision = state.parts.config.dispatch(dispatchRequest(state, request), dispatchInstances(state, request, instances))
  const named = (instanceId: string): Instance | null => instances.find(({ id }) => id === instanceId) ?? null
  switch (decision.kind) {
    case 'none':
      return null
    case 'colocated': {
      const owner = named(decision.instanceId)
      return owner === null ? null : { owner, partner: null, forecast: decision.forecast }
    }
    case 'disaggregated': {
      const owner = named(decision.prefillId)
      const partner = isSuspected(state, request) ? null : named(decision.decodeId)
      return owner === null ? null : { owner, partner: partner === owner ? null : partner, forecast: decision.forecast }
    }
  }
}

function dispatch(state: RouterState, request: LiveRequest, { owner, partner, forecast }: Placed, nowMs: number): void {
  state.numDispatches += 1
  request.epoch = nextEpoch(state, null)
  const trace = beginDispatch(request, {
    'rubato.instance': owner.id,
    ...(partner === null ? {} : { 'rubato.decode_instance': partner.id }),
    ...(forecast.ttftMs === null ? {} : { 'rubato.forecast_ttft_ms': forecast.ttftMs }),
    ...(forecast.tpotMs === null ? {} : { 'rubato.forecast_tpot_ms': forecast.tpotMs }),
  }, nowMs)
  const isGuarded = isSuspected(state, request)
  const message: GenerateMessage = {
    ...generateMessage(request, nowMs),
    ...(isGuarded ? { guarded: true } : {}),
    handOffTo: partner === null ? null : { instanceId: partner.id, address: partner.address },
    trace,
  }
  const effectId = state.outbox.send(owner.address, message)
  own(state, request, { owner, partner, effectId, isGuarded }, nowMs)
  countSent(request, owner, partner ?? owner)
  for (const instance of partner === null ? [owner] : [owner, partner]) remember(state, request, instance)
}

function remember(state: RouterState, { model, promptIds, request }: LiveRequest, { id, load }: Instance): void {
  if (load !== null) state.prefixes.record(model.fingerprint, load.cellTokens, { instanceId: id, tokenIds: promptIds, cacheSalt: request.cacheSalt })
}

function generateMessage(record: LiveRequest, nowMs: number): Omit<GenerateMessage, 'handOffTo' | 'trace'> {
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

function waitedTooLong(state: RouterState, request: LiveRequest, nowMs: number): ClientError | null {
  const { timing } = state.parts.config
  const sinceMs = request.unservedSinceMs ?? nowMs
  const hasInstance = state.instances.serving(request.model.fingerprint).length > 0
  if (sinceMs + (hasInstance ? timing.noProgressMs : timing.instanceWaitMs) > nowMs) return null
  const reason = hasInstance ? 'no_capacity' : 'no_instance'
  return clientError('unavailable', `no instance could take the request within ${Math.round(nowMs - sinceMs)} ms`, { reason, retryAfterMs: 1000 })
}
