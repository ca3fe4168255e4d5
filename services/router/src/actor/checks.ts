// What a request must satisfy before it may run. Pure: a request and a model in, the resolved parameters or the reason
// for refusing out. Field names are those of the gRPC contract.
import { RubatoError } from '@rubato/config'
import type { SamplingParams } from '@rubato/model'
import type { ClientError, ClientErrorCode, ClientRequest } from '../client.ts'
import type { SamplingCheck, SamplingDefaults, ServedModel } from './state/messages.ts'

const MAX_CHOICES = 16
const MAX_STOPS = 16

export interface ErrorDetail {
  readonly field?: string
  readonly reason?: string
  readonly retryAfterMs?: number
}

export function clientError(code: ClientErrorCode, message: string, detail: ErrorDetail = {}): ClientError {
  return { code, message, field: detail.field ?? null, retryAfterMs: detail.retryAfterMs ?? null, reason: detail.reason ?? code }
}

function invalid(field: string, message: string, reason = 'invalid_argument'): ClientError {
  return clientError('invalid_argument', `${field}: ${message}`, { field, reason })
}

/** The rules that need no prompt; null when all hold. */
export function checkShape(request: ClientRequest, model: ServedModel): ClientError | null {
  const { n, stop, slo, input, resumeFrom } = request
  if (!Number.isInteger(n) || n < 1 || n > MAX_CHOICES) return invalid('sampling.n', `must be an integer from 1 to ${MAX_CHOICES}, got ${n}`)
  if (stop.length > MAX_STOPS) return invalid('sampling.stop', `at most ${MAX_STOPS} stop strings, got ${stop.length}`)
  if (stop.includes('')) return invalid('sampling.stop', 'a stop string must not be empty')
  if (slo.ttftMs !== null && !isPositive(slo.ttftMs)) return invalid('slo.ttft_ms', `must be positive, got ${slo.ttftMs}`)
  if (slo.tpotMs !== null && !isPositive(slo.tpotMs)) return invalid('slo.tpot_ms', `must be positive, got ${slo.tpotMs}`)
  if (resumeFrom !== null && (resumeFrom.length !== n || !resumeFrom.every((count) => Number.isSafeInteger(count) && count >= 0))) {
    return invalid('resume_from_index', `must be ${n === 1 ? 'a count' : `${n} counts`} of tokens, got ${resumeFrom.join(', ')}`)
  }
  if (!Number.isSafeInteger(request.priority)) return invalid('priority', `must be an integer, got ${request.priority}`)
  const outside = input.kind === 'tokens' ? input.tokenIds.find((tokenId) => !isTokenId(tokenId, model)) : undefined
  return outside === undefined ? null : invalid('token_ids', `token id ${outside} is outside the vocabulary (0 to ${model.vocabSize - 1})`)
}

function isPositive(value: number): boolean {
  return Number.isFinite(value) && value > 0
}

function isTokenId(tokenId: number, model: ServedModel): boolean {
  return Number.isInteger(tokenId) && tokenId >= 0 && tokenId < model.vocabSize
}

/** The contract's name of the field that carries the prompt. */
export function promptField(request: ClientRequest): string {
  switch (request.input.kind) {
    case 'text':
      return 'prompt'
    case 'tokens':
      return 'token_ids'
    case 'chat':
      return 'messages'
  }
}

/** The rules about lengths, in vLLM's spirit; null when all hold. */
export function checkLengths(request: ClientRequest, numPromptTokens: number, model: ServedModel): ClientError | null {
  const field = promptField(request)
  const { maxTokens } = request.sampling
  const { maxModelLen } = model
  if (numPromptTokens === 0) return invalid(field, 'the prompt has no tokens; at least one is needed')
  if (numPromptTokens >= maxModelLen) {
    const room = numPromptTokens === maxModelLen ? ', which leaves no room for a new one' : ''
    return invalid(field, `prompt has ${numPromptTokens} tokens, but the context holds ${maxModelLen}${room}`, 'context_length_exceeded')
  }
  if (maxTokens === null || numPromptTokens + maxTokens <= maxModelLen) return null
  const message = `max_tokens is ${maxTokens} and the prompt has ${numPromptTokens} tokens, but the context holds ${maxModelLen}; lower max_tokens to ${maxModelLen - numPromptTokens} or shorten the prompt`
  return invalid('sampling.max_tokens', message, 'context_length_exceeded')
}

export interface Unresolved {
  readonly request: ClientRequest
  readonly numPromptTokens: number
  readonly maxModelLen: number
  readonly defaults: SamplingDefaults
  readonly seedIfNone: number
}

/** Fills in every default. Call after checkLengths. */
export function resolveSampling({ request, numPromptTokens, maxModelLen, defaults, seedIfNone }: Unresolved): SamplingParams {
  const { sampling } = request
  return {
    ...sampling,
    maxTokens: sampling.maxTokens ?? maxModelLen - numPromptTokens,
    seed: sampling.seed ?? seedIfNone,
    temperature: sampling.temperature ?? defaults.temperature ?? 1,
    topP: sampling.topP ?? defaults.topP ?? 1,
    topK: sampling.topK ?? defaults.topK ?? 0,
  }
}

/** Runs the injected check; null when it does not throw. */
export function checkSampling(params: SamplingParams, model: ServedModel, validate: SamplingCheck): ClientError | null {
  try {
    validate(params, { vocabSize: model.vocabSize, eosTokenIds: model.eosTokenIds })
    return null
  } catch (error) {
    if (!(error instanceof RubatoError) || error.code !== 'invalid_argument') throw error
    return clientError('invalid_argument', error.message, { field: error.field ?? 'sampling' })
  }
}
