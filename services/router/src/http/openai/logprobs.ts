// Logprobs in OpenAI's two shapes.
import type { TextLogprobs } from '../../client.ts'

/** JSON has no infinity; OpenAI and vLLM report this for an impossible token. */
const LOWEST_LOGPROB = -9999
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const lenient = new TextDecoder('utf-8', { ignoreBOM: true })

const finite = (logprob: number): number => Math.max(logprob, LOWEST_LOGPROB)

/** A token's text; one that is part of a character is `bytes:\xNN...`, so that different tokens stay different keys. */
function tokenKey(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes)
  } catch {
    return `bytes:${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
  }
}

export interface ChatLogprob {
  readonly token: string
  readonly logprob: number
  readonly bytes: readonly number[]
}

export interface ChatTokenLogprob extends ChatLogprob {
  readonly top_logprobs: readonly ChatLogprob[]
}

const NO_BYTES = new Uint8Array(0)

/** `choices[].logprobs.content` of a chat completion. */
export function chatLogprobs(entries: readonly TextLogprobs[]): readonly ChatTokenLogprob[] {
  const one = (logprob: number, bytes: Uint8Array): ChatLogprob => ({ token: lenient.decode(bytes), logprob: finite(logprob), bytes: [...bytes] })
  return entries.map((entry) => ({
    ...one(entry.logprob, entry.bytes),
    top_logprobs: entry.top.map((top, index) => one(top.logprob, entry.topBytes[index] ?? NO_BYTES)),
  }))
}

export interface CompletionLogprobs {
  readonly text_offset: readonly number[]
  readonly token_logprobs: readonly number[]
  readonly tokens: readonly string[]
  readonly top_logprobs: readonly Readonly<Record<string, number>>[]
}

/** `choices[].logprobs` of a text completion; the first token starts at `offset` characters. */
export function completionLogprobs(entries: readonly TextLogprobs[], offset: number): CompletionLogprobs {
  let textOffset = offset
  const offsets = entries.map((entry) => {
    const start = textOffset
    textOffset += tokenKey(entry.bytes).length
    return start
  })
  const topOf = (entry: TextLogprobs): Record<string, number> => {
    const top = entry.top.map((item, index) => [tokenKey(entry.topBytes[index] ?? NO_BYTES), finite(item.logprob)] as const)
    // The chosen token is always listed, as OpenAI does.
    return Object.fromEntries([...top, [tokenKey(entry.bytes), finite(entry.logprob)] as const])
  }
  return {
    text_offset: offsets,
    token_logprobs: entries.map((entry) => finite(entry.logprob)),
    tokens: entries.map((entry) => tokenKey(entry.bytes)),
    top_logprobs: entries.map(topOf),
  }
}

/** Characters that these tokens add to `text_offset`. */
export function logprobsLength(entries: readonly TextLogprobs[]): number {
  return entries.reduce((sum, entry) => sum + tokenKey(entry.bytes).length, 0)
}
