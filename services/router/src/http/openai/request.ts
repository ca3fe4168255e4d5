// /v1/completions and /v1/chat/completions bodies as router requests.
import { z } from 'zod'
import type { ClientInput, ClientRequest, RouterPort } from '../../client.ts'
import { FieldError, parseFields } from '../../front-door/field-error.ts'
import { REQUEST_ID_HEADER, modelOf, requestIdOf, resumeFromOf, sloOf, traceOf } from '../../front-door/request-headers.ts'
import type { HeaderReader } from '../../front-door/request-headers.ts'
import {
  flag, integerFrom, logprobsSchema, maxTokensSchema, samplingShape, sloSchema, text, toClientSampling, toStopStrings,
} from '../../front-door/sampling-schema.ts'
import { parseMessages } from './chat-messages.ts'
import { DEFAULT_ONLY_FIELDS, takeFields } from './fields.ts'
import { parsePrompts } from './prompts.ts'

export type Endpoint = 'completion' | 'chat'

/** A checked request, and how its answer is wanted. */
export interface GenerationPlan {
  readonly endpoint: Endpoint
  readonly requestId: string
  readonly model: string
  readonly requests: readonly ClientRequest[]
  readonly numChoices: number
  readonly stream: boolean
  readonly includeUsage: boolean
  /** vLLM's continuous_usage_stats: usage so far on every chunk. */
  readonly continuousUsage: boolean
  readonly returnTokenIds: boolean
  /** Tokens that the client has already, one count per choice of every prompt; null: a new request. */
  readonly resumeFrom: readonly number[] | null
}

export interface RequestSource {
  readonly router: RouterPort
  readonly readHeader: HeaderReader
  readonly requestId: string
  readonly maxPrompts: number
}

const MAX_CACHE_SALT_CHARS = 1024
const streamOptions = z.strictObject({
  include_usage: flag.nullish(),
  continuous_usage_stats: flag.nullish(),
  include_obfuscation: z.literal(false, { error: 'must be false: obfuscation is not supported' }).nullish(),
}, { error: 'must be an object' })

const sharedShape = {
  ...samplingShape,
  model: text.optional(),
  request_id: text.optional(),
  max_tokens: maxTokensSchema.optional(),
  max_completion_tokens: maxTokensSchema.optional(),
  stream: flag.optional(),
  stream_options: streamOptions.optional(),
  echo: flag.optional(),
  priority: integerFrom(-(2 ** 31)).optional(),
  cache_salt: z.custom<string>((value) => typeof value === 'string' && value !== '' && value.length <= MAX_CACHE_SALT_CHARS, { error: `must be a string of 1 to ${MAX_CACHE_SALT_CHARS} characters` }).optional(),
  slo: sloSchema.optional(),
  return_token_ids: flag.optional(),
}
const completionSchema = z.object({ ...sharedShape, prompt: z.unknown(), logprobs: logprobsSchema.optional() })
const chatSchema = z.object({ ...sharedShape, messages: z.unknown(), logprobs: flag.optional(), top_logprobs: logprobsSchema.optional() })
const COMPLETION_FIELDS = new Set(Object.keys(completionSchema.shape))
const CHAT_FIELDS = new Set(Object.keys(chatSchema.shape))
const DEFAULT_COMPLETION_TOKENS = 16

type SharedFields = Omit<z.output<typeof completionSchema>, 'prompt' | 'logprobs'>

function maxTokensOf(fields: SharedFields): number | null {
  const { max_tokens: old, max_completion_tokens: current } = fields
  if (old !== undefined && current !== undefined && old !== current) {
    throw new FieldError('max_tokens', "Invalid 'max_tokens': it differs from 'max_completion_tokens'. Send one of them.")
  }
  return current ?? old ?? null
}

interface Specifics {
  readonly endpoint: Endpoint
  readonly inputs: readonly ClientInput[]
  readonly maxTokens: number | null
  readonly logprobs: number | null
}

function planOf(fields: SharedFields, specifics: Specifics, source: RequestSource): GenerationPlan {
  const { endpoint, inputs, maxTokens, logprobs } = specifics
  const stream = fields.stream ?? false
  if (fields.stream_options !== undefined && !stream) throw new FieldError('stream_options', "Invalid 'stream_options': it is only allowed with 'stream' true.")
  const requestId = requestIdOf(fields.request_id ?? source.requestId, 'request_id')
  const n = fields.n ?? 1
  const numChoices = inputs.length * n
  const givenId = fields.request_id ?? source.readHeader(REQUEST_ID_HEADER) ?? ''
  const resumeFrom = resumeFromOf(source.readHeader, { isStream: stream, hasRequestId: givenId !== '', numChoices })
  const resumeOf = (index: number): readonly number[] | null => resumeFrom?.slice(index * n, (index + 1) * n) ?? null
  const shared = {
    model: modelOf(source.router, fields.model),
    sampling: toClientSampling(fields, maxTokens, logprobs),
    n,
    stop: toStopStrings(fields.stop),
    slo: sloOf(fields.slo, source.readHeader),
    priority: fields.priority ?? 0,
    cacheSalt: fields.cache_salt ?? '',
    remainingMs: null,
    echo: fields.echo ?? false,
    trace: traceOf(source.readHeader),
  }
  return {
    endpoint,
    requestId,
    model: shared.model,
    requests: inputs.map((input, index) => ({ ...shared, input, resumeFrom: resumeOf(index), requestId: inputs.length === 1 ? requestId : `${requestId}/${index}` })),
    numChoices,
    stream,
    includeUsage: fields.stream_options?.include_usage ?? false,
    continuousUsage: fields.stream_options?.continuous_usage_stats ?? false,
    returnTokenIds: fields.return_token_ids ?? false,
    resumeFrom,
  }
}

/** Throws FieldError for the first field that cannot be honoured. */
export function parseCompletion(body: Readonly<Record<string, unknown>>, source: RequestSource): GenerationPlan {
  const { prompt, logprobs, ...fields } = parseFields(completionSchema, takeFields(body, COMPLETION_FIELDS, DEFAULT_ONLY_FIELDS))
  if (fields.echo === true && logprobs !== undefined) {
    throw new FieldError('echo', "Unsupported parameter: 'echo' is not supported together with 'logprobs': prompt tokens have no logprobs here.", 'unsupported_parameter')
  }
  const inputs = parsePrompts(prompt, source.maxPrompts)
  const maxTokens = maxTokensOf(fields) ?? DEFAULT_COMPLETION_TOKENS
  return planOf(fields, { endpoint: 'completion', inputs, maxTokens, logprobs: logprobs ?? null }, source)
}

/** Throws FieldError for the first field that cannot be honoured. */
export function parseChat(body: Readonly<Record<string, unknown>>, source: RequestSource): GenerationPlan {
  const { messages, logprobs, top_logprobs: top, ...fields } = parseFields(chatSchema, takeFields(body, CHAT_FIELDS, DEFAULT_ONLY_FIELDS))
  if (fields.echo === true) throw new FieldError('echo', "Unsupported parameter: 'echo' is not supported in chat.", 'unsupported_parameter')
  if (top !== undefined && top > 0 && logprobs !== true) throw new FieldError('top_logprobs', "Invalid 'top_logprobs': it needs 'logprobs' true.")
  const inputs: ClientInput[] = [{ kind: 'chat', messages: parseMessages(messages) }]
  return planOf(fields, { endpoint: 'chat', inputs, maxTokens: maxTokensOf(fields), logprobs: logprobs === true ? (top ?? 0) : null }, source)
}
