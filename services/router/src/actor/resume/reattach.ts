// A client comes back for a request that is live on this router: it takes the place of the connection that broke.
//
// 1. The former client hears that it was replaced, and nothing else.
// 2. The new one gets what comes after the tokens that it has, from the token log first.
import { promptText, rereadText } from '../choice-text.ts'
import { clientError } from '../checks.ts'
import { tell } from '../endings.ts'
import { textLogprobs } from '../relay.ts'
import type { SubmitMessage } from '../state/messages.ts'
import { isAdmitted } from '../state/request.ts'
import type { Choice, LiveRequest } from '../state/request.ts'
import type { RouterState } from '../state/router-state.ts'

export function reattach(state: RouterState, record: LiveRequest, { clientId, request }: SubmitMessage, nowMs: number): void {
  state.outbox.deliver(record.clientId, { kind: 'failed', error: clientError('cancelled', 'the request was resumed by another connection', { reason: 'superseded' }) })
  state.byClient.delete(record.clientId)
  state.byClient.set(clientId, record)
  record.clientId = clientId
  record.request = request
  record.deadlineMs = request.remainingMs === null ? null : nowMs + request.remainingMs
  record.pausedSinceMs = null
  record.heldEvents.length = 0
  // Before admission there are no choices: they begin where the new client wants them.
  if (isAdmitted(record)) {
    tell(state, record, { kind: 'accepted', promptTokens: record.promptIds.length })
    for (const choice of record.choices) catchUp(state, record, choice)
  }
  state.schedule(record, nowMs)
}

/** Delivers what the choice has beyond its client's tokens, as one delta; what comes later follows from there. */
function catchUp(state: RouterState, record: LiveRequest, choice: Choice): void {
  const { request, model } = record
  const { index, tokenIds, end } = choice
  const from = request.resumeFrom?.[index] ?? 0
  choice.held = null
  choice.deliverFrom = from
  choice.started = !request.echo || from > 0 || tokenIds.length > 0
  const text = rereadText(record, choice, from)
  if (from >= tokenIds.length && end === null) return
  const logprobs = choice.logprobs === null ? null : textLogprobs(choice.logprobs.slice(from), tokenIds.length, model)
  const echoed = request.echo && from === 0 ? promptText(record) : ''
  tell(state, record, { kind: 'delta', index, text: echoed + text, tokenIds: tokenIds.slice(from), logprobs, finish: end?.finish ?? null, stopReason: end?.stopReason ?? null })
}
