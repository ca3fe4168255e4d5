// The Draft service as both ends use it: messages of proto/rubato/v1/draft.proto to and from the plain values of @rubato/model.
// What comes in is well typed and nothing more: whoever acts on it checks it.
import { status } from '@grpc/grpc-js'
import type { AskedSequence, DraftAnswer, DraftAsk, DraftedTokens, DraftIntroduction, DraftNews, DraftRefusal, DraftReplyMessage, DraftRequestMessage, SamplingParams } from '@rubato/model'
import type { DraftAsk__Output } from '../gen/rubato/v1/DraftAsk.ts'
import type { DraftIntroduction__Output } from '../gen/rubato/v1/DraftIntroduction.ts'
import type { DraftNews__Output } from '../gen/rubato/v1/DraftNews.ts'
import type { DraftReply, DraftReply__Output } from '../gen/rubato/v1/DraftReply.ts'
import type { DraftRequest, DraftRequest__Output } from '../gen/rubato/v1/DraftRequest.ts'
import type { DraftSequence__Output } from '../gen/rubato/v1/DraftSequence.ts'
import { loadDraftPackage } from '../protos.ts'

export const DRAFT_SERVICE_NAME = 'rubato.v1.Draft'

export const EXCHANGE_METHOD = loadDraftPackage().rubato.v1.Draft.service.Exchange

export type WireRequest = DraftRequest
export type WireReply = DraftReply

/** null: a goodbye, which on a stream is its end. */
export function requestToWire(message: DraftRequestMessage): WireRequest | null {
  switch (message.kind) {
    case 'draft-hello':
      return { hello: { ...message.peer, eosTokenIds: [...message.peer.eosTokenIds] } }
    case 'draft-ask':
      return { ask: askToWire(message.ask) }
    case 'draft-news':
      return { news: { sequences: message.news.sequences.map(sequenceToWire), forget: [...message.news.forget] } }
    case 'draft-bye':
      return null
  }
}

function askToWire({ calibration, sequences, ...ask }: DraftAsk): NonNullable<WireRequest['ask']> {
  return { ...ask, calibration: [...calibration.curves], sequences: sequences.map((sequence) => ({ ...sequenceToWire(sequence), maxDepth: sequence.maxDepth })) }
}

function sequenceToWire({ handle, introduction, firstToken, tokenIds }: DraftedTokens) {
  return { handle, firstToken, tokenIds: tokenIds as number[], ...(introduction === null ? {} : { introduction: { ...introduction, sampling: samplingToWire(introduction.sampling) } }) }
}

/** Log-probabilities are nothing to a draft: the message has no field for them. */
function samplingToWire({ logitBias, stopTokenIds, ...rest }: SamplingParams) {
  return { ...rest, logitBias: logitBias.map(([tokenId, bias]) => ({ tokenId, bias })), stopTokenIds: [...stopTokenIds] }
}

/** null: the message is none. */
export function requestFromWire({ hello = null, ask = null, news = null }: DraftRequest__Output): DraftRequestMessage | null {
  if (hello !== null) return { kind: 'draft-hello', peer: hello }
  if (ask !== null) return { kind: 'draft-ask', ask: askFromWire(ask) }
  return news === null ? null : { kind: 'draft-news', news: newsFromWire(news) }
}

function askFromWire({ calibration, sequences, ...ask }: DraftAsk__Output): DraftAsk {
  const asked = sequences.map((sequence): AskedSequence => ({ ...sequenceFromWire(sequence), maxDepth: sequence.maxDepth }))
  return { ...ask, calibration: { curves: calibration }, sequences: asked }
}

function newsFromWire({ sequences, forget }: DraftNews__Output): DraftNews {
  return { sequences: sequences.map(sequenceFromWire), forget }
}

function sequenceFromWire({ handle, introduction, firstToken, tokenIds }: DraftSequence__Output): DraftedTokens {
  return { handle, introduction: introduction === null ? null : introductionFromWire(introduction), firstToken, tokenIds }
}

function introductionFromWire({ sequence, promptTokens, sampling }: DraftIntroduction__Output): DraftIntroduction | null {
  if (sampling === null) return null
  const { logitBias, ...rest } = sampling
  return { sequence, promptTokens, sampling: { ...rest, logitBias: logitBias.map(({ tokenId, bias }) => [tokenId, bias] as const), logprobs: null } }
}

export function replyToWire(message: Extract<DraftReplyMessage, { kind: 'draft-answer' }> | { readonly kind: 'draft-refused'; readonly askId: number; readonly reason: string; readonly message: string }): WireReply {
  if (message.kind === 'draft-refused') return { refused: { askId: message.askId, reason: message.reason, message: message.message } }
  return { answer: message.answer as NonNullable<WireReply['answer']> }
}

/** null: the message is none. */
export function replyFromWire({ answer = null, refused = null }: DraftReply__Output): { readonly kind: 'answer'; readonly answer: DraftAnswer } | { readonly kind: 'refused'; readonly askId: number; readonly message: string } | null {
  if (answer !== null) return { kind: 'answer', answer }
  return refused === null ? null : { kind: 'refused', ...refused }
}

/** The status that ends a stream. */
export const STATUS_OF_REFUSAL: Readonly<Record<DraftRefusal, status>> = {
  other_vocabulary: status.FAILED_PRECONDITION,
  malformed: status.INVALID_ARGUMENT,
  stranger: status.INVALID_ARGUMENT,
  draining: status.UNAVAILABLE,
  busy: status.RESOURCE_EXHAUSTED,
}
