// Instances that do not take what they were sent, and ids that somebody else holds.
//
//   refused: superseded ──> contested ── located, its router is gone ──> aborted there, placed again
//                               │  └──── located, its router lives ────> already_exists
//                               │  └──── located, and this is a resume ─> attached (resume/locate.ts)
//                               └─────── no answer ────────────────────> placed again
//
// 1. A request is contested MAX_CONTESTS times at most.
import type { LocatedMessage, RefusedMessage } from '@rubato/instance'
import { clientError, promptField } from '../checks.ts'
import { abortAt, detach, fail } from '../endings.ts'
import { endDispatch } from '../spans.ts'
import { instanceOf } from '../state/request.ts'
import type { Instance, LiveRequest } from '../state/request.ts'
import type { RouterState } from '../state/router-state.ts'
import { nextEpoch, place } from './placement.ts'

/** How long an instance that refused a request without a hint is not asked again. */
const AVOID_MS = 500
const MAX_CONTESTS = 3

export function onRefused(state: RouterState, message: RefusedMessage, nowMs: number): void {
  const request = state.byId.get(message.requestId)
  const instance = request === undefined ? null : instanceOf(request)
  if (request === undefined || instance === null || instance.id !== message.instanceId) return
  if (request.epoch?.recovery !== message.epoch.recovery || request.epoch.hop !== message.epoch.hop) return
  switch (message.reason) {
    case 'too_long':
      fail(state, request, clientError('invalid_argument', message.message, { field: promptField(request.request), reason: 'context_length_exceeded' }), nowMs)
      return
    case 'superseded':
      onSuperseded(state, request, message, instance, nowMs)
      return
    case 'draining':
      instance.draining = true
      break
    case 'no_capacity':
      request.avoid.set(instance.id, nowMs + (message.retryAfterMs ?? AVOID_MS))
  }
  placeAgain(state, request, message.reason, nowMs)
}

/** The dispatch never left: nothing is held anywhere. */
export function onSendFailed(state: RouterState, request: LiveRequest, nowMs: number): void {
  const instance = instanceOf(request)
  if (instance === null) return
  request.avoid.set(instance.id, nowMs + AVOID_MS)
  placeAgain(state, request, 'send_failed', nowMs)
}

/** The holder of a contested id says whose it is: a router that is gone left it behind, or it is taken. */
export function onHolderKnown(state: RouterState, request: LiveRequest, { router, epoch }: LocatedMessage, nowMs: number): void {
  if (request.state.kind !== 'contested') return
  if (!state.instances.isLost(router)) {
    failTaken(state, request, nowMs)
    return
  }
  const { holder } = request.state
  request.epoch = nextEpoch(state, epoch)
  abortAt(state, request, holder, null)
  request.epoch = null
  place(state, request, nowMs)
}

/** Ends a request whose id is in use for another one. */
export function failTaken(state: RouterState, request: LiveRequest, nowMs: number): void {
  const message = `request_id \`${request.request.requestId}\` is in use by a live request`
  fail(state, request, clientError('already_exists', message, { field: 'request_id', reason: 'request_id_in_use' }), nowMs)
}

function onSuperseded(state: RouterState, request: LiveRequest, { heldEpoch }: RefusedMessage, holder: Instance, nowMs: number): void {
  const isStreaming = request.state.kind === 'streaming'
  // An echo of what it accepted.
  if (isStreaming && heldEpoch?.recovery === request.epoch?.recovery) return
  // Handed over, as far as the source is concerned: the taker is asked too.
  if (isStreaming && heldEpoch === null && request.partner !== null) return
  if (isStreaming && heldEpoch !== null && request.request.resumeFrom === null) {
    detach(state, request)
    request.state = { kind: 'waiting' }
    fail(state, request, clientError('cancelled', 'the request was taken over by a client that resumed it elsewhere', { reason: 'superseded' }), nowMs)
    return
  }
  request.numContests += 1
  if (heldEpoch === null) {
    // It forgot the request between two messages. Never for ever:
    if (request.numContests > MAX_CONTESTS) request.avoid.set(holder.id, nowMs + AVOID_MS)
    placeAgain(state, request, 'superseded', nowMs)
    return
  }
  state.lastRecovery = Math.max(state.lastRecovery, heldEpoch.recovery)
  detach(state, request)
  endDispatch(state, request, 'superseded', nowMs)
  request.state = { kind: 'contested', holder, untilMs: nowMs + state.parts.config.timing.locateMs }
  if (request.numContests > MAX_CONTESTS) {
    failTaken(state, request, nowMs)
    return
  }
  state.outbox.send(holder.address, { kind: 'locate', requestId: request.request.requestId })
  state.schedule(request, nowMs)
}

function placeAgain(state: RouterState, request: LiveRequest, reason: string, nowMs: number): void {
  detach(state, request)
  endDispatch(state, request, reason, nowMs)
  request.unservedSinceMs ??= nowMs
  place(state, request, nowMs)
}
