// Renders server-sent events of one stream. The hot path: everything but text and token ids is prebuilt per choice, so
// that a delta costs one string concatenation and one JSON.stringify of its text.
//
// 1. An event's id is the number of tokens of each choice that the client has once it has the event: what `Last-Event-ID` resumes from.
import type { DeltaEvent, GroupSummary } from '../../front-door/request-group.ts'
import type { OpenAiError } from '../http-error.ts'
import { chatLogprobs, completionLogprobs, logprobsLength } from './logprobs.ts'
import { answerHead, finishReason, usageJson } from './response.ts'
import type { GenerationPlan } from './request.ts'

export const DONE_EVENT = 'data: [DONE]\n\n'

export function errorEvent(error: OpenAiError): string {
  return `data: ${JSON.stringify({ error })}\n\n`
}

export class ChunkWriter {
  readonly #plan: GenerationPlan
  readonly #chat: boolean
  /** Up to and including `"choices":`. */
  readonly #head: string
  /** Per choice, from the head to where the text goes; filled as choices first appear. */
  readonly #choiceHeads: string[] = []
  /** Per choice, characters of its tokens so far, for text_offset. */
  readonly #offsets: number[] = []
  /** Per choice, tokens in the events so far. */
  readonly #numTokens: number[]
  #promptTokens = 0
  #completionTokens: number
  #fingerprint = ''

  constructor(plan: GenerationPlan, nowMs: number) {
    this.#plan = plan
    this.#numTokens = plan.resumeFrom?.slice() ?? Array.from({ length: plan.numChoices }, () => 0)
    this.#completionTokens = this.#numTokens.reduce((sum, count) => sum + count, 0)
    this.#chat = plan.endpoint === 'chat'
    const object = this.#chat ? 'chat.completion.chunk' : 'text_completion'
    const fields = JSON.stringify({ ...answerHead(plan, nowMs), object })
    this.#head = `data: ${fields.slice(0, -1)},"choices":`
  }

  setPromptTokens(promptTokens: number): void {
    this.#promptTokens = promptTokens
  }

  /** Known only when the first instance's answer is complete: chunks rendered before carry none. */
  setFingerprint(systemFingerprint: string): void {
    this.#fingerprint = `,"system_fingerprint":${JSON.stringify(systemFingerprint)}`
  }

  #tail(): string {
    let tail = `]${this.#fingerprint}`
    if (this.#plan.continuousUsage) {
      const [prompt, completion] = [this.#promptTokens, this.#completionTokens]
      tail += `,"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion},"total_tokens":${prompt + completion}}`
    } else if (this.#plan.includeUsage) {
      tail += ',"usage":null'
    }
    return `${tail}}\n\n`
  }

  #id(): string {
    return `id: ${this.#numTokens.length === 1 ? this.#numTokens[0] : this.#numTokens.join(',')}\n`
  }

  /** What precedes the choice's first event: a chat's chunk with the role. Later: nothing. */
  #begin(index: number): string {
    if (this.#choiceHeads[index] !== undefined) return ''
    const head = `${this.#head}[{"index":${index},`
    this.#choiceHeads[index] = this.#chat ? `${head}"delta":{` : `${head}"text":`
    if (!this.#chat) return ''
    const ids = this.#plan.returnTokenIds ? ',"token_ids":[]' : ''
    return `${this.#id()}${head}"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null${ids}}${this.#tail()}`
  }

  /** The event of one delta; empty when there is nothing that this client would see. */
  delta(index: number, event: DeltaEvent): string {
    const { text, tokenIds, logprobs, finish, stopReason } = event
    const { returnTokenIds, continuousUsage } = this.#plan
    this.#completionTokens += tokenIds.length
    const wantsTokens = (returnTokenIds || continuousUsage) && tokenIds.length > 0
    const isVisible = text !== '' || finish !== null || logprobs !== null || wantsTokens
    const opening = isVisible ? this.#begin(index) : ''
    this.#numTokens[index] = (this.#numTokens[index] ?? 0) + tokenIds.length
    if (!isVisible) return ''
    let chunk = opening + this.#id() + this.#choiceHeads[index]
    if (!this.#chat) chunk += JSON.stringify(text)
    else chunk += text === '' && finish !== null ? '}' : `"content":${JSON.stringify(text)}}`
    chunk += logprobs === null ? ',"logprobs":null' : `,"logprobs":${this.#logprobs(index, logprobs)}`
    const reason = finishReason(finish)
    chunk += reason === null ? ',"finish_reason":null' : `,"finish_reason":"${reason}","stop_reason":${JSON.stringify(stopReason)}`
    if (returnTokenIds) chunk += `,"token_ids":[${tokenIds.join(',')}]`
    return `${chunk}}${this.#tail()}`
  }

  #logprobs(index: number, entries: NonNullable<DeltaEvent['logprobs']>): string {
    if (this.#chat) return JSON.stringify({ content: chatLogprobs(entries), refusal: null })
    const offset = this.#offsets[index] ?? 0
    this.#offsets[index] = offset + logprobsLength(entries)
    return JSON.stringify(completionLogprobs(entries, offset))
  }

  /** The events after the last delta. */
  end(summary: GroupSummary): string {
    if (!this.#plan.includeUsage) return DONE_EVENT
    return `${this.#head}[]${this.#fingerprint},"usage":${JSON.stringify(usageJson(summary.usage))}}\n\n${DONE_EVENT}`
  }
}
