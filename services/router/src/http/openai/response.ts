// What both forms of an answer (one JSON object, a stream of chunks) share.
import type { ClientFinish, Usage } from '../../client.ts'
import type { GenerationPlan } from './request.ts'

export interface UsageJson {
  readonly prompt_tokens: number
  readonly total_tokens: number
  readonly completion_tokens: number
  readonly prompt_tokens_details?: { readonly cached_tokens: number }
}

export function usageJson(usage: Usage): UsageJson {
  return {
    prompt_tokens: usage.promptTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    completion_tokens: usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  }
}

/** `id`, `created` and `model` of every object of one answer. */
export interface AnswerHead {
  readonly id: string
  readonly created: number
  readonly model: string
}

export function answerHead(plan: GenerationPlan, nowMs: number): AnswerHead {
  const prefix = plan.endpoint === 'chat' ? 'chatcmpl-' : 'cmpl-'
  return { id: prefix + plan.requestId, created: Math.floor(nowMs / 1000), model: plan.model }
}

/** OpenAI's finish reasons; a choice that ended in any other way has none, and its call fails. */
export function finishReason(finish: ClientFinish | null): 'stop' | 'length' | null {
  return finish === 'stop' || finish === 'length' ? finish : null
}

export function isBroken(finish: ClientFinish | null): finish is 'cancelled' | 'error' {
  return finish === 'cancelled' || finish === 'error'
}
