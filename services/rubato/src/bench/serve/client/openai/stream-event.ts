// Reads one event of an OpenAI completions or chat stream.
import type { ChunkContent } from '../token-timeline.ts'

export interface StreamUsage {
  readonly promptTokens: number | null
  readonly completionTokens: number | null
}

export type StreamEvent =
  | { readonly kind: 'chunk'; readonly content: ChunkContent | null; readonly usage: StreamUsage | null }
  | { readonly kind: 'done' }
  | { readonly kind: 'error'; readonly message: string }

interface WireChoice {
  readonly text?: string | null
  readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string | null; readonly reasoning?: string | null } | null
  readonly finish_reason?: string | null
  readonly token_ids?: readonly number[] | null
}

interface WireChunk {
  readonly choices?: readonly WireChoice[] | null
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null
  readonly error?: unknown
}

/** The message of an OpenAI error body, else the body itself, shortened. */
export function errorMessageOf(error: unknown): string {
  const { message } = (typeof error === 'object' && error !== null ? error : {}) as { message?: unknown }
  const text = typeof message === 'string' ? message : typeof error === 'string' ? error : JSON.stringify(error)
  return text.slice(0, 500)
}

/** The message of a refused request's body, which may be JSON or anything else. */
export function refusalMessageOf(body: string): string {
  try {
    const parsed = JSON.parse(body) as { readonly error?: unknown } | null
    return errorMessageOf(parsed?.error ?? parsed)
  } catch {
    return errorMessageOf(body.trim())
  }
}

function contentOf(choice: WireChoice, completionTokens: number | null): ChunkContent {
  const delta = choice.delta ?? {}
  const text = choice.text ?? `${delta.reasoning_content ?? delta.reasoning ?? ''}${delta.content ?? ''}`
  const finished = choice.finish_reason !== null && choice.finish_reason !== undefined
  return { text, tokenIds: choice.token_ids ?? null, completionTokens, finished }
}

export function readStreamEvent(data: string): StreamEvent {
  if (data === '[DONE]') return { kind: 'done' }
  let chunk: WireChunk | null
  try {
    chunk = JSON.parse(data) as WireChunk | null
  } catch {
    return { kind: 'error', message: `not JSON: ${data.slice(0, 200)}` }
  }
  if (typeof chunk !== 'object' || chunk === null) return { kind: 'error', message: `not an object: ${data.slice(0, 200)}` }
  if (chunk.error !== undefined && chunk.error !== null) return { kind: 'error', message: errorMessageOf(chunk.error) }
  const usage = chunk.usage ?? null
  const choice = chunk.choices?.[0]
  return {
    kind: 'chunk',
    content: choice === undefined ? null : contentOf(choice, usage?.completion_tokens ?? null),
    usage: usage === null ? null : { promptTokens: usage.prompt_tokens ?? null, completionTokens: usage.completion_tokens ?? null },
  }
}
