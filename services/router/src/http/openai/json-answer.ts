// Collects a whole generation and answers with one JSON object.
import type { ServerResponse } from 'node:http'
import type { ClientError, ClientFinish, TextLogprobs } from '../../client.ts'
import type { DeltaEvent, GroupListener, GroupSummary } from '../../front-door/request-group.ts'
import { brokenChoice } from '../../front-door/request-group.ts'
import { httpErrorOf, sendError, sendJson } from '../http-error.ts'
import { chatLogprobs, completionLogprobs } from './logprobs.ts'
import { answerHead, finishReason, isBroken, usageJson } from './response.ts'
import type { GenerationPlan } from './request.ts'

interface Choice {
  text: string
  readonly tokenIds: number[]
  logprobs: TextLogprobs[] | null
  finish: ClientFinish | null
  stopReason: string | number | null
}

export class JsonAnswer implements GroupListener {
  readonly #plan: GenerationPlan
  readonly #res: ServerResponse
  readonly #choices: Choice[]

  constructor(plan: GenerationPlan, res: ServerResponse) {
    this.#plan = plan
    this.#res = res
    this.#choices = Array.from({ length: plan.numChoices }, () => ({ text: '', tokenIds: [], logprobs: null, finish: null, stopReason: null }))
  }

  accepted(): void {}

  delta(index: number, event: DeltaEvent): void {
    const choice = this.#choices[index]
    if (choice === undefined) return
    choice.text += event.text
    for (const tokenId of event.tokenIds) choice.tokenIds.push(tokenId)
    if (event.logprobs !== null) (choice.logprobs ??= []).push(...event.logprobs)
    if (event.finish === null) return
    choice.finish = event.finish
    choice.stopReason = event.stopReason
  }

  finished(summary: GroupSummary): void {
    const broken = this.#choices.map((choice) => choice.finish).find(isBroken)
    if (broken !== undefined) {
      this.failed(brokenChoice(broken))
      return
    }
    sendJson(this.#res, 200, {
      ...answerHead(this.#plan, Date.now()),
      object: this.#plan.endpoint === 'chat' ? 'chat.completion' : 'text_completion',
      system_fingerprint: summary.systemFingerprint,
      choices: this.#choices.map((choice, index) => this.#choiceJson(choice, index)),
      usage: usageJson(summary.usage),
    })
  }

  failed(error: ClientError): void {
    sendError(this.#res, httpErrorOf(error))
  }

  #choiceJson(choice: Choice, index: number): object {
    const { text, logprobs, finish, stopReason, tokenIds } = choice
    const chat = this.#plan.endpoint === 'chat'
    return {
      index,
      ...(chat
        ? { message: { role: 'assistant', content: text, refusal: null }, logprobs: logprobs === null ? null : { content: chatLogprobs(logprobs), refusal: null } }
        : { text, logprobs: logprobs === null ? null : completionLogprobs(logprobs, 0) }),
      finish_reason: finishReason(finish),
      stop_reason: stopReason,
      ...(this.#plan.returnTokenIds ? { token_ids: tokenIds } : {}),
    }
  }
}
