// What happens to requests whose instance is lost, and who owns them after a hand-off.
//
//   lost          before the first token    first token here, no higher hop    a second token, or a higher hop
//   owner         recover (a crash)         recover                            recover
//   partner       nothing: the owner keeps  recover: the owner may have        nothing: the owner kept it, or
//                 the request               handed over to nobody              the partner had handed over
//
// And who is to blame. One death short of its limit a request is a suspect, and dispatched guarded:
//
//   guarded dispatch -> held there -- may-begin --> on trial -- first token --> cleared
//                           |                          +------- the instance dies --> request_quarantined
//                           +------- the instance dies: it was not this one
//
// 1. A request is given up when migrationLimit instances in a row died that brought no token of it and may have begun it. One that
//    outlives its engine says what its last step had begun; of a process that died it may be anything that it did not hold.
//    So what kills whoever begins it costs migrationLimit instances and not one more; and an innocent request is convicted only
//    when other things killed each of its instances, the last one while it was alone on trial there.
// 2. An instance asks for one suspect at a time, of all routers', and for the next when a token of the one before is acknowledged
//    or that one has left: an earlier trial is over then. An instance of a former minor holds nothing: a suspect is on trial there
//    from its dispatch on, and is not sent beside another. No suspect is handed over: it is tried in one place.
// 3. Deaths that do not count are bounded too: DEATHS_PER_LOSS times as many.
// 4. A decode instance that dies before its first token of a pair counts once: nobody knows whether it had begun. What follows is
//    computed in one place, where 1 holds.
// 5. Whatever is recovered is aborted wherever it may still be held.
import type { Address } from '@rubato/actor'
import type { GoneMessage, LoadMessage, MayBeginMessage } from '@rubato/instance'
import { clientError } from '../checks.ts'
import { abortAt, detach, fail } from '../endings.ts'
import { endDispatch } from '../spans.ts'
import { instanceOf, isOrphanedPair } from '../state/request.ts'
import type { Instance, LiveRequest } from '../state/request.ts'
import type { RouterState } from '../state/router-state.ts'
import { place } from './placement.ts'

const DEATHS_PER_LOSS = 3

/** Any word from an instance: keeps its record, and recovers what an earlier incarnation of it held. */
export function hear(state: RouterState, report: { readonly instanceId: string; readonly incarnation: number }, from: Address, nowMs: number): Instance | null {
  const { instance, lost } = state.instances.hear(report.instanceId, report.incarnation, from, nowMs)
  if (lost !== null) lose(state, lost, nowMs)
  return instance
}

/** The instance, if this is the first that it reports. */
export function onLoad(state: RouterState, message: LoadMessage, from: Address, nowMs: number): Instance | null {
  const instance = hear(state, message, from, nowMs)
  if (instance === null) return null
  const isFirst = instance.load === null
  state.instances.report(instance, message)
  state.placementDue = true
  return isFirst ? instance : null
}

export function onGone(state: RouterState, message: GoneMessage, nowMs: number): void {
  const lost = state.instances.remove(message, nowMs)
  if (lost !== null) lose(state, lost, nowMs)
}

/** A member's lease is gone: every incarnation at that address is. */
export function onMemberLost(state: RouterState, address: Address, nowMs: number): void {
  for (const lost of state.instances.removeAt(address)) lose(state, lost, nowMs)
}

/** Takes a request away from where it is and places it again. lost: the instance that died; null: one no longer serves the request. */
export function recover(state: RouterState, request: LiveRequest, lost: Instance | null, nowMs: number): void {
  if (lost !== null) countDeath(request, lost)
  abortAt(state, request, request.partner, null)
  detach(state, request)
  endDispatch(state, request, lost === null ? 'stall' : 'crash', nowMs)
  request.state = { kind: 'waiting' }
  state.unplaced.add(request)
  const { migrationLimit } = state.parts.config
  if (request.numLosses >= migrationLimit || request.numDeaths >= DEATHS_PER_LOSS * migrationLimit) {
    const message = `${request.numDeaths} instances died in a row before they brought a token of this request; it is not tried again`
    fail(state, request, clientError('internal', message, { reason: 'request_quarantined' }), nowMs)
    return
  }
  request.recovered = true
  request.numRecoveries += 1
  request.stats.recoveriesTotal += 1
  request.unservedSinceMs = nowMs
  request.recoveringSinceMs ??= nowMs
  for (const choice of request.choices) choice.gapAskedMs = null
  place(state, request, nowMs)
}

/** An instance spoke for the request under a higher hop: it owns it now, and the former owner is its partner. */
export function adopt(state: RouterState, request: LiveRequest, owner: Instance, hop: number): void {
  const former = instanceOf(request)
  detach(state, request)
  request.epoch = { recovery: request.epoch!.recovery, hop }
  request.state = { kind: 'streaming', instance: owner }
  owner.requests.add(request)
  if (former === null || former === owner || state.instances.get(former.id) !== former) return
  request.partner = former
  former.partnered.add(request)
}

/** The instance could begin a suspect. A question that comes again is answered again; what is held there in vain is freed. */
export function letBegin(state: RouterState, message: MayBeginMessage, from: Address, nowMs: number): void {
  const { requestId, epoch } = message
  const instance = hear(state, message, from, nowMs)
  if (instance === null) return
  const request = state.byId.get(requestId)
  if (request === undefined || instanceOf(request) !== instance || request.epoch?.recovery !== epoch.recovery) {
    state.outbox.send(from, { kind: 'abort', requestId, epoch, sequence: null })
    return
  }
  if (request.isGuarded) instance.onTrial = request
  state.outbox.send(from, { kind: 'begin', requestId, epoch })
}

/** Whether the owner went on by itself: after the hand-off it says no second token. */
export function hasKept(request: LiveRequest): boolean {
  return request.choices.some((choice) => choice.tokenIds.length > 1)
}

/** A decode instance that died before it brought a token counts like a prefill instance that did. */
function countDeath(request: LiveRequest, lost: Instance): void {
  if (request.unservedSinceMs === null && !isOrphanedPair(request)) return
  request.numDeaths += 1
  if (mayHaveBegun(lost, request)) request.numLosses += 1
}

function mayHaveBegun({ begunIds, onTrial }: Instance, request: LiveRequest): boolean {
  if (begunIds !== null) return begunIds.includes(request.request.requestId)
  return !request.isGuarded || onTrial === request
}

function lose(state: RouterState, lost: Instance, nowMs: number): void {
  state.prefixes.forget(lost.id)
  for (const request of inOrder(lost.partnered)) losePartner(state, request, lost, nowMs)
  for (const request of inOrder(lost.requests)) recover(state, request, lost, nowMs)
}

function losePartner(state: RouterState, request: LiveRequest, lost: Instance, nowMs: number): void {
  request.partner?.partnered.delete(request)
  request.partner = null
  if ((request.epoch?.hop ?? 0) > 0 || hasKept(request)) return
  request.lostPartner = lost
  if (!isOrphanedPair(request)) return
  abortAt(state, request, instanceOf(request), null)
  recover(state, request, lost, nowMs)
}

function inOrder(requests: ReadonlySet<LiveRequest>): LiveRequest[] {
  return [...requests].sort((a, b) => a.arrival - b.arrival)
}
