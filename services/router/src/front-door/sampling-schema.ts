// The sampling rules that both front doors apply, in the contract's snake_case names.
import { z } from 'zod'
import type { ClientSampling } from '../client.ts'
import { FieldError } from './field-error.ts'

const MAX_INT32 = 2 ** 31 - 1
export const MAX_STOP_STRINGS = 16

function numberWhere(rule: string, holds: (value: number) => boolean) {
  return z.custom<number>((value) => typeof value === 'number' && Number.isFinite(value) && holds(value), { error: `must be ${rule}` })
}

export function integerFrom(min: number, max = MAX_INT32) {
  const rule = max >= MAX_INT32 ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`
  return numberWhere(rule, (value) => Number.isInteger(value) && value >= min && value <= max)
}

export const flag = z.custom<boolean>((value) => typeof value === 'boolean', { error: 'must be true or false' })
export const text = z.custom<string>((value) => typeof value === 'string', { error: 'must be a string' })
const positive = numberWhere('a number above 0', (value) => value > 0)
const penalty = numberWhere('a number from -2 to 2', (value) => value >= -2 && value <= 2)

export function isTokenIds(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0 && id <= MAX_INT32)
}

function isLogitBias(value: unknown): value is Record<string, number> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(value).every(([id, bias]) => /^\d{1,9}$/.test(id) && typeof bias === 'number' && bias >= -100 && bias <= 100)
}

function isStop(value: unknown): value is string | string[] {
  if (typeof value === 'string') return value !== ''
  return Array.isArray(value) && value.length <= MAX_STOP_STRINGS && value.every((item) => typeof item === 'string' && item !== '')
}

export const sloSchema = z.strictObject({ ttft_ms: positive.nullish(), tpot_ms: positive.nullish() }, { error: 'must be an object of ttft_ms and tpot_ms' })

/** Fields that mean the same in gRPC, /v1/completions and /v1/chat/completions. */
export const samplingShape = {
  min_tokens: integerFrom(0).optional(),
  temperature: numberWhere('a number of at least 0', (value) => value >= 0).optional(),
  top_p: numberWhere('a number above 0 and at most 1', (value) => value > 0 && value <= 1).optional(),
  top_k: numberWhere('-1 or 0 (off) or a positive integer', (value) => Number.isInteger(value) && value >= -1 && value <= MAX_INT32).optional(),
  min_p: numberWhere('a number from 0 to 1', (value) => value >= 0 && value <= 1).optional(),
  presence_penalty: penalty.optional(),
  frequency_penalty: penalty.optional(),
  repetition_penalty: positive.optional(),
  logit_bias: z.custom<Record<string, number>>(isLogitBias, { error: 'must be an object from token ids to numbers from -100 to 100' }).optional(),
  seed: numberWhere('an integer from 0 to 9007199254740991', (value) => Number.isSafeInteger(value) && value >= 0).optional(),
  stop: z.custom<string | string[]>(isStop, { error: `must be a string or a list of at most ${MAX_STOP_STRINGS} strings, none empty` }).optional(),
  stop_token_ids: z.custom<number[]>(isTokenIds, { error: 'must be a list of token ids' }).optional(),
  ignore_eos: flag.optional(),
  n: integerFrom(1, 16).optional(),
}

export const maxTokensSchema = integerFrom(1)
export const logprobsSchema = integerFrom(0, 20)

const samplingSchema = z.object(samplingShape)
export type SamplingFields = z.output<typeof samplingSchema>

/** The sampling of a ClientRequest. `prefix` goes before field names in messages. */
export function toClientSampling(fields: SamplingFields, maxTokens: number | null, logprobs: number | null, prefix = ''): ClientSampling {
  const minTokens = fields.min_tokens ?? 0
  if (maxTokens !== null && minTokens > maxTokens) {
    throw new FieldError(`${prefix}min_tokens`, `Invalid '${prefix}min_tokens': it must be at most max_tokens (${maxTokens}), got ${minTokens}.`)
  }
  return {
    maxTokens,
    minTokens,
    temperature: fields.temperature ?? null,
    topP: fields.top_p ?? null,
    topK: fields.top_k === undefined ? null : Math.max(0, fields.top_k),
    minP: fields.min_p ?? 0,
    presencePenalty: fields.presence_penalty ?? 0,
    frequencyPenalty: fields.frequency_penalty ?? 0,
    repetitionPenalty: fields.repetition_penalty ?? 1,
    logitBias: Object.entries(fields.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias] as const),
    seed: fields.seed ?? null,
    stopTokenIds: fields.stop_token_ids ?? [],
    ignoreEos: fields.ignore_eos ?? false,
    logprobs,
  }
}

export function toStopStrings(stop: SamplingFields['stop']): readonly string[] {
  if (stop === undefined) return []
  return typeof stop === 'string' ? [stop] : stop
}
