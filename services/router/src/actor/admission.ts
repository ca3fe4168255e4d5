// The line at the door, and what happens when a request's turn comes.
import { decideAdmission, numReleasable } from '@rubato/policy'
import type { AdmissionSnapshot } from '@rubato/policy'
import type { ClientError } from '../client.ts'
import { clientError } from './checks.ts'
import { tell } from './endings.ts'
import { place } from './placement/placement.ts'
import { newChoice } from './state/request.ts'
import type { LiveRequest } from './state/request.ts'
import type { RouterState } from './state/router-state.ts'

/** Why the door is closed to one more request; null: it may wait in line. */
export function refusalForLoad(state: RouterState, nowMs: number): ClientError | null {
  const { maxConcurrentRequests } = state.parts.config
  const numAtDoor = state.numAtDoor
  const numInFlight = maxConcurrentRequests === null ? numAtDoor : Math.min(numAtDoor, maxConcurrentRequests)
  const decision = decideAdmission({ ...lineSnapshot(state, nowMs), numInFlight, queueLength: numAtDoor - numInFlight })
  if (decision.kind !== 'refuse') return null
  const message = `all ${maxConcurrentRequests} slots are taken and ${numAtDoor - numInFlight} requests wait; retry in ${decision.retryAfterMs} ms`
  return clientError('resource_exhausted', message, { reason: decision.reason, retryAfterMs: decision.retryAfterMs })
}

/** Everything is known about the request: it waits for a slot. */
export function enqueue(state: RouterState, record: LiveRequest, nowMs: number): void {
  state.numEntering -= 1
  record.state = { kind: 'queued', sinceMs: nowMs }
  state.line.push(record)
  state.schedule(record, nowMs)
  admitWaiting(state, nowMs)
}

/** Admits from the line while there are slots. */
export function admitWaiting(state: RouterState, nowMs: number): void {
  for (let left = numReleasable(lineSnapshot(state, nowMs)); left > 0; left -= 1) {
    const request = state.line.shift()
    if (request === undefined) continue
    admit(state, request, nowMs)
    place(state, request, nowMs)
  }
}

/** Takes a slot and tells the client. The caller says where the request runs. */
export function admit(state: RouterState, record: LiveRequest, nowMs: number): void {
  state.numAdmitted += 1
  record.state = { kind: 'waiting' }
  record.admittedMs = nowMs
  record.unservedSinceMs = nowMs
  record.choices = Array.from({ length: record.request.n }, (_, index) => newChoice(index, record))
  tell(state, record, { kind: 'accepted', promptTokens: record.promptIds.length })
}

function lineSnapshot(state: RouterState, nowMs: number): AdmissionSnapshot {
  const { maxConcurrentRequests, queueSize } = state.parts.config
  return { numInFlight: state.numAdmitted, maxConcurrentRequests, queueLength: state.line.size, queueSize, serviceRatePerSec: state.rate.perSec(nowMs) }
}
