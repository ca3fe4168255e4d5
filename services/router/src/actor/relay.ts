// Tokens from instances to clients: exactly once, in order, as text. The hot path of the router.
//
// 1. A token is taken only at index choice.tokenIds.length; what lies below is a duplicate, what lies above waits for a resend.
// 2. What a client sees of a choice depends on its tokens alone, not on how they fall into steps: with stop strings tokens
//    are taken one by one, and those after the match count for nothing.
// 3. The id that ended a choice (end of sequence or stop_token_ids) is in token_ids and in completion_tokens, and not in the text: as vLLM.
import type { Address } from '@rubato/actor'
import type { FinishReason, SequenceTiming, TokenRun, TokensMessage } from '@rubato/instance'
import type { TokenLogprobs } from '@rubato/model'
import type { TextLogprobs } from '../client.ts'
import { finish, tell } from './endings.ts'
import { adopt, hear } from './placement.ts'
import type { ServedModel } from './state/messages.ts'
import { instanceOf } from './state/request.ts'
import type { Choice, Instance, LiveRequest } from './state/request.ts'
import type { RouterState } from './state/router-state.ts'

/** A gap is asked for again only after this long: until then the answer is on its way. */
const RESEND_AGAIN_MS = 100

/** Of a choice whose end its instance has not told. */
const NO_TIMING: SequenceTiming = { queueMs: 0, prefillMs: 0, cachedTokens: 0, preemptions: 0, acceptedDraftTokens: 0, migrations: 0 }

interface Taken {
  text: string
  /** Tokens that count; fewer than given when a stop string matched before the last. */
  numTokens: number
  stopped: string | null
}

interface End {
  readonly finish: FinishReason
  readonly stopReason: string | number | null
}

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
    if (!isCurrent(state, request, run, owner)) continue
    numTokens += relayRun(state, request, run, nowMs)
    stats = request.stats
  }
  if (stats !== null && numTokens > 0) stats.stepTokens.observe(numTokens)
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

function takeRun(state: RouterState, request: LiveRequest, choice: Choice, run: TokenRun, nowMs: number): number {
  progress(state, request, nowMs)
  if (run.start !== undefined) choice.timing = { ...NO_TIMING, ...run.start }
  const taken = readText(choice, run, request.sampling!.minTokens)
  const { numTokens } = taken
  for (let index = 0; index < numTokens; index += 1) choice.tokenIds.push(run.tokenIds[index]!)
  if (numTokens > 0) clockTokens(request, choice, numTokens, nowMs)
  const end = endOf(taken, run, request)
  const tokenIds = numTokens === run.tokenIds.length ? run.tokenIds : run.tokenIds.slice(0, numTokens)
  const logprobs = run.logprobs === null ? null : textLogprobs(run.logprobs, numTokens, request.model)
  const text = choice.started ? taken.text : promptText(request) + taken.text
  choice.started = true
  tell(state, request, { kind: 'delta', index: choice.index, text, tokenIds, logprobs, finish: end?.finish ?? null, stopReason: end?.stopReason ?? null })
  if (end === null) return numTokens
  choice.ended = true
  choice.timing = run.finish?.timing ?? choice.timing
  choice.cutByRouter = run.finish === null || numTokens < run.tokenIds.length
  endChoice(state, request, choice, end, nowMs)
  return numTokens
}

/** The first token since a dispatch shows that the instance serves the request. */
function progress(state: RouterState, request: LiveRequest, nowMs: number): void {
  request.lastProgressMs = nowMs
  if (request.unservedSinceMs !== null) {
    request.unservedSinceMs = null
    request.numCrashes = 0
    request.numStalls = 0
  }
  if (request.state.kind !== 'dispatched') return
  const { instance, effectId } = request.state
  state.byEffect.delete(effectId)
  request.state = { kind: 'streaming', instance }
  if (instance.suspect === request) {
    instance.suspect = null
    state.placementDue = true
  }
}

const oneToken: number[] = [0]

function readText(choice: Choice, run: TokenRun, minTokens: number): Taken {
  const { detokenizer, stopMatcher } = choice
  const endsByToken = run.finish !== null && run.finish.reason === 'stop' && run.finish.stopTokenId !== null
  const numText = endsByToken ? run.tokenIds.length - 1 : run.tokenIds.length
  const taken: Taken = { text: '', numTokens: run.tokenIds.length, stopped: null }
  if (stopMatcher === null) {
    taken.text = detokenizer.push(numText === run.tokenIds.length ? run.tokenIds : run.tokenIds.slice(0, numText))
    if (run.finish !== null) taken.text += detokenizer.flush()
    return taken
  }
  for (let index = 0; index < numText && taken.stopped === null; index += 1) {
    oneToken[0] = run.tokenIds[index]!
    const text = detokenizer.push(oneToken)
    // As vLLM: text of the first min_tokens tokens is not searched.
    if (run.firstIndex + index < minTokens) taken.text += text
    else if (text !== '') matchStops(choice, text, taken)
    if (taken.stopped !== null) taken.numTokens = index + 1
  }
  if (run.finish === null || taken.stopped !== null) return taken
  const tail = detokenizer.flush()
  if (tail !== '') matchStops(choice, tail, taken)
  if (taken.stopped === null) taken.text += stopMatcher.flush()
  return taken
}

function matchStops(choice: Choice, text: string, taken: Taken): void {
  const { emit, stopped } = choice.stopMatcher!.push(text)
  taken.text += emit
  taken.stopped = stopped
}

function endOf(taken: Taken, run: TokenRun, request: LiveRequest): End | null {
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

function textLogprobs(logprobs: readonly TokenLogprobs[], numTokens: number, { text }: ServedModel): TextLogprobs[] {
  return logprobs.slice(0, numTokens).map((entry) => ({
    ...entry,
    bytes: text.tokenBytes(entry.tokenId),
    topBytes: entry.top.map(({ tokenId }) => text.tokenBytes(tokenId)),
  }))
}

/** What `echo` puts in front: the prompt as given, or as its tokens read. */
function promptText(request: LiveRequest): string {
  const { input } = request.request
  if (input.kind === 'text') return input.text
  const detokenizer = request.model.text.detokenizer([])
  return detokenizer.push(request.promptIds) + detokenizer.flush()
}

function endChoice(state: RouterState, request: LiveRequest, choice: Choice, end: End, nowMs: number): void {
  if (request.choices.every(({ ended }) => ended)) {
    finish(state, request, end.finish, nowMs)
    return
  }
  const instance = instanceOf(request)
  if (!choice.cutByRouter || instance === null) return
  state.outbox.send(instance.address, { kind: 'abort', requestId: request.request.requestId, epoch: request.epoch!, sequence: choice.index })
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
