// rubato.v1 requests as router requests: checks what needs no model, names fields as the .proto does.
import { z } from 'zod'
import type { Metadata } from '@grpc/grpc-js'
import type { ChatMessages__Output, GenerateRequest__Output, SamplingParams__Output, TokenizeRequest__Output } from '@rubato/rpc'
import type { ChatMessage, ClientInput, ClientRequest, RouterPort } from '../client.ts'
import { FieldError, findLoneSurrogate, invalidField, parseFields, pathText } from '../front-door/field-error.ts'
import { REQUEST_ID_HEADER, modelOf, requestIdOf, sloOf, traceOf } from '../front-door/request-headers.ts'
import type { HeaderReader } from '../front-door/request-headers.ts'
import { isTokenIds, logprobsSchema, maxTokensSchema, samplingShape, sloSchema, toClientSampling, toStopStrings } from '../front-door/sampling-schema.ts'

const SAMPLING_PREFIX = 'sampling.'
const ROLES = new Set(['system', 'developer', 'user', 'assistant', 'tool'])
const samplingSchema = z.object({ ...samplingShape, max_tokens: maxTokensSchema.optional(), logprobs: logprobsSchema.optional() })
type SamplingFields = z.output<typeof samplingSchema>

export function metadataReader(metadata: Metadata): HeaderReader {
  return (name) => {
    const [value] = metadata.get(name)
    return value === undefined ? undefined : String(value)
  }
}

function snakeCase(name: PropertyKey): PropertyKey {
  return typeof name === 'string' ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : name
}

/** Bytes that are no UTF-8 can decode to lone surrogates, which no tokenizer and no answer can carry. */
function checkStrings(request: object): void {
  const path = findLoneSurrogate(request)
  if (path === null) return
  const field = pathText(path.map(snakeCase))
  throw new FieldError(field, `Invalid '${field}': the text is not valid UTF-8.`)
}

function samplingFields(given: SamplingParams__Output | null): SamplingFields {
  if (given === null) return {}
  return parseFields(samplingSchema, {
    max_tokens: given.maxTokens,
    min_tokens: given.minTokens,
    temperature: given.temperature,
    top_p: given.topP,
    top_k: given.topK,
    min_p: given.minP,
    presence_penalty: given.presencePenalty,
    frequency_penalty: given.frequencyPenalty,
    repetition_penalty: given.repetitionPenalty,
    logit_bias: given.logitBias,
    seed: given.seed,
    stop: given.stop,
    stop_token_ids: given.stopTokenIds,
    ignore_eos: given.ignoreEos,
    logprobs: given.logprobs,
    n: given.n,
  }, SAMPLING_PREFIX)
}

function chatMessages(given: ChatMessages__Output): readonly ChatMessage[] {
  if (given.messages.length === 0) throw new FieldError('messages', "Invalid 'messages': it must hold at least one message.")
  return given.messages.map(({ role, content, name }, index) => {
    if (!ROLES.has(role)) throw invalidField(`messages.messages[${index}].role`, `must be one of ${[...ROLES].join(', ')}`, role)
    return name === undefined ? { role, content } : { role, content, name }
  })
}

function inputOf(request: GenerateRequest__Output): ClientInput {
  if (request.input === 'prompt') return { kind: 'text', text: request.prompt ?? '' }
  if (request.input === 'messages' && request.messages) return { kind: 'chat', messages: chatMessages(request.messages) }
  if (request.input !== 'tokenIds' || !request.tokenIds) throw new FieldError('input', "Missing input: set one of 'prompt', 'messages' and 'token_ids'.", 'missing_required_parameter')
  const tokenIds = request.tokenIds.ids
  if (tokenIds.length === 0 || !isTokenIds(tokenIds)) throw new FieldError('token_ids', "Invalid 'token_ids': it must hold at least one id, each below 2^31.")
  return { kind: 'tokens', tokenIds }
}

function refuseUnbuilt(request: GenerateRequest__Output): void {
  if (request.responseFormat) throw new FieldError('response_format', "Unsupported parameter: 'response_format' is not supported yet. Remove it.", 'unsupported_parameter')
}

/** The same index for every choice; null: a new request. */
function resumeFromOf(request: GenerateRequest__Output, n: number, givenId: string | undefined): readonly number[] | null {
  const { resumeFromIndex } = request
  if (resumeFromIndex === undefined) return null
  if (givenId === undefined || givenId === '') throw new FieldError('request_id', "Missing 'request_id': 'resume_from_index' resumes the request of that id.", 'missing_required_parameter')
  return Array.from({ length: n }, () => resumeFromIndex)
}

export interface GenerateSource {
  readonly router: RouterPort
  readonly metadata: Metadata
  readonly remainingMs: number | null
}

/** Throws FieldError for the first field that cannot be honoured. */
export function toClientRequest(request: GenerateRequest__Output, source: GenerateSource): ClientRequest {
  checkStrings(request)
  refuseUnbuilt(request)
  const readHeader = metadataReader(source.metadata)
  const fields = samplingFields(request.sampling)
  const slo = request.slo === null ? undefined : parseFields(sloSchema, { ttft_ms: request.slo.ttftMs, tpot_ms: request.slo.tpotMs }, 'slo.')
  const givenId = request.requestId === '' ? readHeader(REQUEST_ID_HEADER) : request.requestId
  const n = fields.n ?? 1
  return {
    requestId: requestIdOf(givenId, request.requestId === '' ? REQUEST_ID_HEADER : 'request_id'),
    model: modelOf(source.router, request.model),
    input: inputOf(request),
    sampling: toClientSampling(fields, fields.max_tokens ?? null, fields.logprobs ?? null, SAMPLING_PREFIX),
    n,
    stop: toStopStrings(fields.stop),
    slo: sloOf(slo, readHeader),
    priority: request.priority,
    cacheSalt: request.cacheSalt,
    remainingMs: source.remainingMs,
    echo: false,
    resumeFrom: resumeFromOf(request, n, givenId),
    trace: traceOf(readHeader),
  }
}

/** Throws FieldError when neither text nor messages are given. */
export function toTokenizeInput(request: TokenizeRequest__Output): ClientInput {
  checkStrings(request)
  if (request.input === 'messages' && request.messages) return { kind: 'chat', messages: chatMessages(request.messages) }
  if (request.input !== 'text') throw new FieldError('input', "Missing input: set one of 'text' and 'messages'.", 'missing_required_parameter')
  return { kind: 'text', text: request.text ?? '' }
}

/** Throws FieldError for ids no vocabulary can hold. */
export function checkTokenIds(tokenIds: readonly number[]): void {
  if (!isTokenIds(tokenIds)) throw new FieldError('token_ids', "Invalid 'token_ids': each id must be below 2^31.")
}
