// Time: deadlines and watchdogs by one wake timer, acknowledgements by another.
//
// 1. A wait is over when its start + its limit <= now, computed as RouterState.schedule computes it: what is due is dealt
//    with or scheduled later, never at the same moment again.
// 2. The wake timer is armed for the earliest entry of the deadline heap, or not at all when that is empty.
// 3. The acknowledgement timer is armed while any request is on an instance or any last acknowledgement is unsent.
import type { AckMessage } from '@rubato/instance'
import type { Address } from '@rubato/actor'
import { clientError } from './checks.ts'
import { abortAt, cancel, fail } from './endings.ts'
import { hasKept, recover } from './placement/losses.ts'
import { place } from './placement/placement.ts'
import { settle } from './resume/locate.ts'
import { instanceOf, isOrphanedPair } from './state/request.ts'
import type { Choice, Instance, LiveRequest } from './state/request.ts'
import type { RouterState } from './state/router-state.ts'

const MAX_STALLS = 3
/** A timer may fire a little early. */
const EARLY_MS = 0.5

/** Looks after every request whose wait may have run out. */
export function onWake(state: RouterState, nowMs: number): void {
  for (let request = state.deadlines.peek(); request !== undefined && request.checkAtMs <= nowMs + EARLY_MS; request = state.deadlines.peek()) {
    state.deadlines.remove(request)
    look(state, request, nowMs + EARLY_MS)
    if (request.heapIndex === null && state.byClient.has(request.clientId)) state.schedule(request, nowMs + EARLY_MS)
  }
}

/** Arms the timers that the state asks for. Call once after every message. */
export function armTimers(state: RouterState, nowMs: number): void {
  if (state.ackTimer === null && (state.finalAcks.size > 0 || hasServed(state))) state.ackTimer = state.outbox.timer(state.parts.config.timing.ackIntervalMs)
  const next = state.deadlines.peek()
  const armed = state.wakeTimer
  if (next !== undefined && armed !== null && armed.atMs <= next.checkAtMs) return
  if (armed !== null) state.outbox.cancel(armed.id)
  state.wakeTimer = null
  if (next === undefined) return
  const delayMs = Math.max(1, Math.ceil(next.checkAtMs - nowMs))
  // Remembered as what it stands for, not as the rounded-up moment it fires: else the same deadline would arm it anew each time.
  state.wakeTimer = { id: state.outbox.timer(delayMs), atMs: next.checkAtMs }
}

/** Acknowledges everything received since the last round, one message per instance. */
export function acknowledge(state: RouterState): void {
  for (const instance of state.instances.values()) {
    const acks: AckMessage['acks'][number][] = state.finalAcks.get(instance.address) ?? []
    state.finalAcks.delete(instance.address)
    for (const request of instance.requests) collectAcks(request, acks)
    sendAcks(state, instance.address, acks)
  }
  for (const [address, acks] of state.finalAcks) sendAcks(state, address, acks)
  state.finalAcks.clear()
}

function collectAcks(request: LiveRequest, acks: AckMessage['acks'][number][]): void {
  for (const choice of request.choices) {
    if (!choice.ackDue) continue
    choice.ackDue = false
    acks.push({ requestId: request.request.requestId, epoch: request.epoch!, sequence: choice.index, nextIndex: choice.tokenIds.length })
  }
}

function sendAcks(state: RouterState, address: Address, acks: AckMessage['acks']): void {
  if (acks.length > 0) state.outbox.send(address, { kind: 'ack', acks })
}

function hasServed(state: RouterState): boolean {
  for (const instance of state.instances.values()) if (instance.requests.size > 0) return true
  return false
}

function look(state: RouterState, request: LiveRequest, nowMs: number): void {
  const { timing, queueTimeoutMs } = state.parts.config
  if (request.pausedSinceMs !== null && request.pausedSinceMs + timing.pauseTimeoutMs <= nowMs) {
    giveUpReader(state, request, nowMs)
    return
  }
  if (request.state.kind !== 'ended' && request.deadlineMs !== null && request.deadlineMs <= nowMs) {
    fail(state, request, clientError('deadline_exceeded', 'the deadline passed before the request was finished'), nowMs)
    return
  }
  switch (request.state.kind) {
    case 'tokenizing':
      if (request.submittedMs + timing.tokenizeTimeoutMs > nowMs) return
      fail(state, request, clientError('deadline_exceeded', `the prompt was not tokenised within ${timing.tokenizeTimeoutMs} ms`, { reason: 'tokenize_timeout' }), nowMs)
      return
    case 'queued':
      if (request.state.sinceMs + queueTimeoutMs <= nowMs) failQueued(state, request, nowMs)
      return
    case 'locating':
      if (request.state.untilMs <= nowMs) settle(state, request, nowMs)
      return
    case 'contested':
      if (request.state.untilMs <= nowMs) place(state, request, nowMs)
      return
    case 'waiting':
      place(state, request, nowMs)
      return
    case 'dispatched':
    case 'streaming':
      lookAfterServed(state, request, request.state.instance, nowMs)
      return
    case 'ended':
  }
}

function failQueued(state: RouterState, request: LiveRequest, nowMs: number): void {
  const { queueTimeoutMs } = state.parts.config
  const retryAfterMs = Math.min(queueTimeoutMs, 1000)
  fail(state, request, clientError('resource_exhausted', `no slot became free within ${queueTimeoutMs} ms; retry later`, { reason: 'queue_timeout', retryAfterMs }), nowMs)
}

/** The front door has stopped reading from us long ago: it hears of this at once, and nothing else of what was kept. */
function giveUpReader(state: RouterState, request: LiveRequest, nowMs: number): void {
  const { pauseTimeoutMs } = state.parts.config.timing
  cancel(state, request, nowMs)
  state.outbox.deliver(request.clientId, {
    kind: 'failed', error: clientError('cancelled', `the client read nothing for ${pauseTimeoutMs} ms`, { reason: 'slow_client' }),
  })
}

/**
 * No token for a while. Tokens may have been lost on the way (ask for them), the dispatch may have been lost (the instance
 * reports that it has nothing to do), or the instance may be dead without anybody having said so.
 */
function lookAfterServed(state: RouterState, request: LiveRequest, instance: Instance, nowMs: number): void {
  const { timing } = state.parts.config
  const idleMs = nowMs - request.lastProgressMs
  if (isOrphanedPair(request)) {
    if (hasKept(request)) request.lostPartner = null
    else if (idleMs >= timing.partnerLossMs) {
      abortAt(state, request, instance, null)
      recover(state, request, request.lostPartner, nowMs)
      return
    }
  }
  if (request.lastProgressMs + timing.probeMs > nowMs) return
  const isSilent = nowMs - instance.lastHeardMs >= timing.silenceMs
  const hasOther = state.instances.serving(request.model.fingerprint).some((other) => other !== instance && nowMs - other.lastHeardMs < timing.silenceMs)
  const wasProbed = request.probedMs !== null && request.probedMs > request.lastProgressMs
  const isForgotten = wasProbed && !isSilent && isIdle(instance) && (request.partner === null || isIdle(request.partner))
  if ((isSilent && hasOther) || isForgotten || idleMs >= timing.noProgressMs) {
    stalled(state, request, nowMs)
    return
  }
  request.probedMs = nowMs
  for (const choice of request.choices) {
    if (choice.ended) continue
    askFrom(state, request, choice, instance, 0)
    // It may have taken the request over, and every word of that may be lost.
    if (request.partner !== null) askFrom(state, request, choice, request.partner, 1)
  }
}

function askFrom(state: RouterState, { request, epoch }: LiveRequest, choice: Choice, { address }: Instance, numHops: number): void {
  const asked = { recovery: epoch!.recovery, hop: epoch!.hop + numHops }
  state.outbox.send(address, { kind: 'resend', requestId: request.requestId, epoch: asked, sequence: choice.index, fromIndex: choice.tokenIds.length })
}

function isIdle({ load }: Instance): boolean {
  return load !== null && load.numRunning + load.numWaiting === 0
}

function stalled(state: RouterState, request: LiveRequest, nowMs: number): void {
  request.numStalls += 1
  const name = instanceOf(request)?.id ?? ''
  if (request.numStalls > MAX_STALLS) {
    fail(state, request, clientError('unavailable', `no progress after ${MAX_STALLS} recoveries; last on instance ${name}`, { reason: 'no_progress', retryAfterMs: 1000 }), nowMs)
    return
  }
  abortAt(state, request, instanceOf(request), null)
  recover(state, request, null, nowMs)
}
