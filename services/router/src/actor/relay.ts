// Tokens from instances to clients: exactly once, in order, as text. The hot path of the router.
//
// 1. A token is taken only at index choice.tokenIds.length; what lies below is a duplicate, what lies above waits for a resend.
// 2. Tokens below choice.deliverFrom are logged and not delivered: their client has them.
// 3. The id that ended a choice (end of sequence or stop_token_ids) is in token_ids and in completion_tokens, and not in the text: as vLLM.
import type { Address } from '@rubato/actor'
import type { SequenceTiming, TokenRun, TokensMessage } from '@rubato/instance'
import type { TokenLogprobs } from '@rubato/model'
import type { TextLogprobs } from '../client.ts'
import { promptText, readText } from './choice-text.ts'
import type { Taken } from './choice-text.ts'
import { abortAt, endTrial, finish, tell } from './endings.ts'
import { adopt, hear } from './placement/losses.ts'
import { endDispatch, endRecovery } from './spans.ts'
import type { ServedModel } from './state/messages.ts'
import { instanceOf } from './state/request.ts'
import type { Choice, ChoiceEnd, Instance, LiveRequest } from './state/request.ts'
import type { RouterState } from './state/router-state.ts'

/** A gap is asked for again only after this long: until then the answer is on its way. */
const RESEND_AGAIN_MS = 100

/** Of a choice whose end its instance has not told. */
const NO_TIMING: SequenceTiming = { queueMs: 0, prefillMs: 0, cachedTokens: 0, preemptions: 0, acceptedDraftTokens: 0, migrations: 0 }

export function relayTokens(state: RouterState, message: TokensMessage, from: Address, nowMs: number): void {
  const owner = hear(state, message, from, nowMs)
  let stats: LiveRequest['stats'] | null = null
  let numTokens = 0
  for (const run of message.runs) {
    const request = state.byId.get(run.requestId)
    if (request === undefined) {
      // Ended here: the instance has not heard, or did not hear, that it may free it.
      state.outbox.send(from, { kind: 'abort', requestId: run.requestId, epoch: run.epoch, sequence: null })
      continue
    }
    if (request.epoch !== null && run.epoch.recovery < request.epoch.recovery) {
      // The sender did not hear that the request was taken from it.
      state.outbox.send(from, { kind: 'abort', requestId: run.requestId, epoch: run.epoch, sequence: null })
      continue
    }
    if (!isCurrent(state, request, run, owner)) continue
    const wasOnTrial = owner?.onTrial === request
    numTokens += relayRun(state, request, run, nowMs)
    if (wasOnTrial && owner.onTrial !== request) acknowledgeNow(state, request, run, from)
    stats = request.stats
  }
  if (stats !== null && numTokens > 0) stats.stepTokens.observe(numTokens)
}

/** The next suspect there waits for it. */
function acknowledgeNow(state: RouterState, { request, choices }: LiveRequest, { epoch, sequence }: TokenRun, to: Address): void {
  const nextIndex = choices[sequence]!.tokenIds.length
  state.outbox.send(to, { kind: 'ack', acks: [{ requestId: request.requestId, epoch, sequence, nextIndex }] })
}

/** Whether the run comes from the request's owner. A higher hop makes the sender the owner. */
function isCurrent(state: RouterState, request: LiveRequest, run: TokenRun, owner: Instance | null): boolean {
  const { epoch } = request
  const served = instanceOf(request)
  if (epoch === null || served === null || owner === null) return false
  if (run.epoch.recovery !== epoch.recovery || run.epoch.hop < epoch.hop) return false
  if (run.epoch.hop > epoch.hop) adopt(state, request, owner, run.epoch.hop)
  return true
}

/** Takes what is new of a run; the number of tokens that counted. */
function relayRun(state: RouterState, request: LiveRequest, run: TokenRun, nowMs: number): number {
  const choice = request.choices[run.sequence]
  if (choice === undefined) return 0
  choice.ackDue = true
  if (choice.ended) return 0
  const numKnown = choice.tokenIds.length - run.firstIndex
  if (numKnown < 0) {
    askAgain(state, request, choice, nowMs)
    return 0
  }
  if (numKnown > 0) request.stats.duplicateTokensTotal += Math.min(numKnown, run.tokenIds.length)
  const isNew = numKnown < run.tokenIds.length
  const isEnd = run.finish !== null && numKnown === run.tokenIds.length
  if (!isNew && !isEnd) return 0
  const fresh = numKnown === 0 ? run : trimmed(run, numKnown)
  return takeRun(state, request, choice, fresh, nowMs)
}

function trimmed(run: TokenRun, numKnown: number): TokenRun {
  const logprobs = run.logprobs === null ? null : run.logprobs.slice(numKnown)
  return { ...run, firstIndex: run.firstIndex + numKnown, tokenIds: run.tokenIds.slice(numKnown), logprobs }
}

/** Takes the next tokens of a choice as they come from an instance; the number of tokens that counted. */
function takeRun(state: RouterState, request: LiveRequest, choice: Choice, run: TokenRun, nowMs: number): number {
  progress(state, request, nowMs)
  if (run.start !== undefined) choice.timing = { ...NO_TIMING, ...run.start }
  const numBefore = choice.tokenIds.length
  const numUnwanted = choice.deliverFrom - numBefore
  if (numUnwanted > 0 && numUnwanted < run.tokenIds.length) {
    takeTokens(state, request, choice, { ...run, tokenIds: run.tokenIds.slice(0, numUnwanted), logprobs: run.logprobs?.slice(0, numUnwanted) ?? null, finish: null }, nowMs)
    if (!choice.ended) takeTokens(state, request, choice, trimmed(run, numUnwanted), nowMs)
  } else takeTokens(state, request, choice, run, nowMs)
  return choice.tokenIds.length - numBefore
}

/** Tokens of a choice that begins here, as another router's instance knows them: they are no news for the clock. */
export function takeKnown(state: RouterState, request: LiveRequest, choice: Choice, tokenIds: readonly number[], nowMs: number): void {
  const known = { requestId: request.request.requestId, epoch: request.epoch!, sequence: choice.index, logprobs: null, finish: null }
  const numUnwanted = Math.min(choice.deliverFrom, tokenIds.length)
  choice.numUnclocked = tokenIds.length
  if (numUnwanted > 0) takeTokens(state, request, choice, { ...known, firstIndex: 0, tokenIds: tokenIds.slice(0, numUnwanted) }, nowMs)
  if (!choice.ended && numUnwanted < tokenIds.length) takeTokens(state, request, choice, { ...known, firstIndex: numUnwanted, tokenIds: tokenIds.slice(numUnwanted) }, nowMs)
}

/** The run's tokens are all wanted, or all of them the client has. */
function takeTokens(state: RouterState, request: LiveRequest, choice: Choice, run: TokenRun, nowMs: number): void {
  const isWanted = choice.deliverFrom === 0 || choice.tokenIds.length + run.tokenIds.length > choice.deliverFrom
  const taken = readText(choice, run, request.sampling!.minTokens)
  const { numTokens } = taken
  for (let index = 0; index < numTokens; index += 1) choice.tokenIds.push(run.tokenIds[index]!)
  if (choice.logprobs !== null && run.logprobs !== null) for (let index = 0; index < numTokens; index += 1) choice.logprobs.push(run.logprobs[index]!)
  if (numTokens > 0 && choice.tokenIds.length > choice.numUnclocked) clockTokens(request, choice, numTokens, nowMs)
  const end = endOf(taken, run, request)
  if (isWanted) {
    const tokenIds = numTokens === run.tokenIds.length ? run.tokenIds : run.tokenIds.slice(0, numTokens)
    const logprobs = run.logprobs === null ? null : textLogprobs(run.logprobs, numTokens, request.model)
    const text = choice.started ? taken.text : promptText(request) + taken.text
    choice.started = true
    tell(state, request, { kind: 'delta', index: choice.index, text, tokenIds, logprobs, finish: end?.finish ?? null, stopReason: end?.stopReason ?? null })
  } else if (end !== null) tell(state, request, { kind: 'delta', index: choice.index, text: '', tokenIds: [], logprobs: run.logprobs === null ? null : [], ...end })
  if (end === null) return
  choice.ended = true
  choice.end = end
  choice.finish = numTokens === run.tokenIds.length ? run.finish : null
  choice.timing = run.finish?.timing ?? choice.timing
  choice.cutByRouter = run.finish === null || numTokens < run.tokenIds.length
  endChoice(state, request, choice, end, nowMs)
}

/** The first token since a dispatch shows that the instance serves the request. */
function progress(state: RouterState, request: LiveRequest, nowMs: number): void {
  request.lastProgressMs = nowMs
  if (request.unservedSinceMs !== null) {
    request.unservedSinceMs = null
    request.numLosses = 0
    request.numDeaths = 0
    request.numStalls = 0
    endDispatch(state, request, null, nowMs)
    endRecovery(state, request, null, nowMs)
    if (request.lostPartner !== null) state.schedule(request, nowMs)
  }
  if (request.state.kind !== 'dispatched') return
  const { instance, effectId } = request.state
  state.byEffect.delete(effectId)
  request.state = { kind: 'streaming', instance }
  endTrial(state, request, instance)
}

function endOf(taken: Taken, run: TokenRun, request: LiveRequest): ChoiceEnd | null {
  if (taken.stopped !== null) return { finish: 'stop', stopReason: taken.stopped }
  if (run.finish === null) return null
  const { reason, stopTokenId } = run.finish
  const isEos = stopTokenId !== null && !request.sampling!.ignoreEos && request.model.eosTokenIds.includes(stopTokenId)
  return { finish: reason, stopReason: reason === 'stop' && !isEos ? stopTokenId : null }
}

function clockTokens(request: LiveRequest, choice: Choice, numTokens: number, nowMs: number): void {
  const { stats } = request
  stats.generationTokensTotal += numTokens
  if (choice.lastTokenMs !== null) stats.itlSeconds.observe((nowMs - choice.lastTokenMs) / numTokens / 1000, numTokens)
  choice.firstTokenMs ??= nowMs
  choice.lastTokenMs = nowMs
  if (request.firstTokenMs !== null) return
  request.firstTokenMs = nowMs
  stats.ttftSeconds.observe((nowMs - request.submittedMs) / 1000)
}

/** Logprobs of the first numTokens entries, with the text of each as bytes. */
export function textLogprobs(logprobs: readonly TokenLogprobs[], numTokens: number, { text }: ServedModel): TextLogprobs[] {
  return logprobs.slice(0, numTokens).map((entry) => ({
    ...entry,
    bytes: text.tokenBytes(entry.tokenId),
    topBytes: entry.top.map(({ tokenId }) => text.tokenBytes(tokenId)),
  }))
}

function endChoice(state: RouterState, request: LiveRequest, choice: Choice, end: ChoiceEnd, nowMs: number): void {
  if (request.choices.every(({ ended }) => ended)) {
    finish(state, request, end.finish, nowMs)
    return
  }
  if (!choice.cutByRouter) return
  abortAt(state, request, instanceOf(request), choice.index)
  abortAt(state, request, request.partner, choice.index)
}

function askAgain(state: RouterState, request: LiveRequest, choice: Choice, nowMs: number): void {
  const instance = instanceOf(request)
  if (instance === null || (choice.gapAskedMs !== null && nowMs - choice.gapAskedMs < RESEND_AGAIN_MS)) return
  choice.gapAskedMs = nowMs
  request.stats.resendsTotal += 1
  state.outbox.send(instance.address, {
    kind: 'resend', requestId: request.request.requestId, epoch: request.epoch!, sequence: choice.index, fromIndex: choice.tokenIds.length,
  })
}
