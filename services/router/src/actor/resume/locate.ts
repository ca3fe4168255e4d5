// A client comes back for a request that is not live on this router: whoever holds it is looked for among the instances.
//
//   locating ── located, same payload ────> attached: the instance sends what the client lacks and goes on
//      │   └─── located, another payload ─> already_exists
//      └─────── nobody answers ───────────> queued: computed again from the start, which yields the same tokens
//
// 1. A resume waits for answers locateMs at most, and locateGraceMs after the first: of several, the highest epoch counts.
//    Instances that this router hears of meanwhile are asked too: it may have begun a moment ago.
// 2. A request that is found holds its slot already, as far as the cluster goes: it passes the line. One that is not found
//    is a newcomer.
// 3. The last known token comes again with whatever the instance says of its end: text held back until then belongs to it.
import { compareEpochs } from '@rubato/instance'
import type { GenerateMessage, LocatedMessage } from '@rubato/instance'
import type { Address } from '@rubato/actor'
import { admit, enqueue, refusalForLoad } from '../admission.ts'
import type { ClientError } from '../../client.ts'
import { clientError } from '../checks.ts'
import { abortAt, fail } from '../endings.ts'
import { hear } from '../placement/losses.ts'
import { nextEpoch, own, place } from '../placement/placement.ts'
import { failTaken, onHolderKnown } from '../placement/refusals.ts'
import { takeKnown } from '../relay.ts'
import { beginDispatch } from '../spans.ts'
import { isAdmitted } from '../state/request.ts'
import type { Choice, Found, Instance, LiveRequest } from '../state/request.ts'
import type { RouterState } from '../state/router-state.ts'
import { isSameWork } from './same-request.ts'

/** Asks every instance of the model. The prompt and the parameters are known. */
export function locate(state: RouterState, request: LiveRequest, nowMs: number): void {
  const asked = new Set<Instance>()
  request.state = { kind: 'locating', untilMs: nowMs + state.parts.config.timing.locateMs, asked, answers: [] }
  for (const instance of state.instances.values()) ask(state, request, asked, instance)
  state.schedule(request, nowMs)
}

/** An instance that reports for the first time is asked for what is being looked for. O(requests). */
export function askNewcomer(state: RouterState, instance: Instance): void {
  if (state.numEntering === 0) return
  for (const request of state.byId.values()) if (request.state.kind === 'locating') ask(state, request, request.state.asked, instance)
}

function ask(state: RouterState, { request, model }: LiveRequest, asked: Set<Instance>, instance: Instance): void {
  if (instance.load?.modelFingerprint !== model.fingerprint) return
  asked.add(instance)
  state.outbox.send(instance.address, { kind: 'locate', requestId: request.requestId })
}

export function onLocated(state: RouterState, message: LocatedMessage, from: Address, nowMs: number): void {
  const instance = hear(state, message, from, nowMs)
  const request = state.byId.get(message.request.requestId)
  if (instance === null || request === undefined) return
  if (request.state.kind === 'contested' && request.state.holder === instance) {
    if (request.request.resumeFrom === null) onHolderKnown(state, request, message, nowMs)
    else attach(state, request, { instance, message }, nowMs)
    return
  }
  if (request.state.kind !== 'locating') return
  const { untilMs, asked, answers } = request.state
  const all = [...answers.filter((answer) => answer.instance !== instance), { instance, message }]
  request.state = { kind: 'locating', untilMs: Math.min(untilMs, nowMs + state.parts.config.timing.locateGraceMs), asked, answers: all }
  if (all.length >= asked.size) settle(state, request, nowMs)
  else state.schedule(request, nowMs)
}

/** Every answer that counts is there. */
export function settle(state: RouterState, request: LiveRequest, nowMs: number): void {
  if (request.state.kind !== 'locating') return
  const best = highest(request.state.answers.filter(({ instance }) => state.instances.get(instance.id) === instance))
  if (best === null) computeAnew(state, request, nowMs)
  else attach(state, request, best, nowMs)
}

function highest(answers: readonly Found[]): Found | null {
  let best: Found | null = null
  for (const answer of answers) if (best === null || compareEpochs(answer.message.epoch, best.message.epoch) > 0) best = answer
  return best
}

/** Nobody knows it. What the client has is computed with the rest, and not delivered. */
function computeAnew(state: RouterState, request: LiveRequest, nowMs: number): void {
  state.numEntering -= 1
  const refusal = isBeyondRecall(request) ? unknownRequest(request) : refusalForLoad(state, nowMs)
  state.numEntering += 1
  if (refusal === null) enqueue(state, request, nowMs)
  else fail(state, request, refusal, nowMs)
}

/** What the client has came of a seed that is gone: other tokens must not be taken for its continuation. */
function isBeyondRecall({ isSeedDrawn, sampling, request }: LiveRequest): boolean {
  return isSeedDrawn && sampling!.temperature > 0 && request.resumeFrom!.some((count) => count > 0)
}

function unknownRequest({ request }: LiveRequest): ClientError {
  const message = `request_id \`${request.requestId}\` is not known any more, and the seed that was drawn for it is gone; give a seed to be able to resume`
  return clientError('not_found', message, { field: 'request_id', reason: 'request_not_found' })
}

/** Takes the request over where it is, under a recovery above every one it had. */
function attach(state: RouterState, record: LiveRequest, { instance, message }: Found, nowMs: number): void {
  const { request: held, epoch } = message
  if (!isSameWork(record, held)) {
    failTaken(state, record, nowMs)
    return
  }
  record.sampling = held.sampling
  if (!isAdmitted(record)) {
    state.numEntering -= 1
    admit(state, record, nowMs)
  }
  record.recovered = true
  record.epoch = nextEpoch(state, epoch)
  for (const choice of record.choices) takeHeld(state, record, choice, held.emittedIds[choice.index] ?? [], nowMs)
  const hasEnded = record.state.kind === 'ended'
  if (hasEnded || lacksChoice(held)) {
    abortAt(state, record, instance, null)
    if (!hasEnded) place(state, record, nowMs)
    return
  }
  beginDispatch(record, { 'rubato.instance': instance.id, 'rubato.attached': true }, nowMs)
  const fromIndices = record.choices.map((choice) => choice.tokenIds.length)
  const effectId = state.outbox.send(instance.address, { kind: 'attach', requestId: held.requestId, epoch: record.epoch, fromIndices })
  own(state, record, { owner: instance, partner: pairedWith(state, message, instance), effectId, isGuarded: false }, nowMs)
  for (const choice of record.choices) if (choice.cutByRouter) abortAt(state, record, instance, choice.index)
}

/** A choice that its former router cut was aborted where it ran: its tokens are gone, and have to be computed again. */
function lacksChoice({ emittedIds, finishedSequences }: GenerateMessage): boolean {
  return finishedSequences.some((index) => emittedIds[index]?.length === 0)
}

/** The last token comes again with what follows. Where logprobs are wanted all do: a client may come back for them. */
function takeHeld(state: RouterState, record: LiveRequest, choice: Choice, tokenIds: readonly number[], nowMs: number): void {
  const isFirst = choice.tokenIds.length === 0 && !choice.ended
  if (isFirst && choice.logprobs === null && tokenIds.length > 1) takeKnown(state, record, choice, tokenIds.slice(0, -1), nowMs)
}

/** While a request is being handed over, the instance that takes it. */
function pairedWith(state: RouterState, { request, epoch }: LocatedMessage, owner: Instance): Instance | null {
  if (epoch.hop > 0 || request.handOffTo === null) return null
  const partner = state.instances.get(request.handOffTo.instanceId) ?? null
  return partner === owner ? null : partner
}
