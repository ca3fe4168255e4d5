// The client of any OpenAI-compatible server: /v1/completions or /v1/chat/completions, streamed.
import { Agent as HttpAgent } from 'node:http'
import type { Agent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { RubatoError } from '@rubato/config'
import type { PlannedRequest } from '../../dataset/planned-request.ts'
import type { Clock } from '../../load/clock.ts'
import type { BenchServeOptions } from '../../options.ts'
import { sentTargets } from '../generate-client.ts'
import type { Answer, AnswerEnd, GenerateClient } from '../generate-client.ts'
import { exchangeHttp } from './http-exchange.ts'
import type { ExchangeEnd } from './http-exchange.ts'
import { readStreamEvent, refusalMessageOf } from './stream-event.ts'
import { requestBody, sloHeaders } from './request-body.ts'
import { SseParser } from './sse-parser.ts'
import { TokenTimeline } from '../token-timeline.ts'

/** What one stream has told so far. */
class StreamReader {
  readonly timeline = new TokenTimeline()
  readonly #clock: Clock
  readonly #sse = new SseParser((data) => this.#event(data))
  promptTokens: number | null = null
  completionTokens: number | null = null
  #failure: string | null = null
  #isDone = false
  #nowMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** All events of one read share its time. */
  push(bytes: Buffer): void {
    this.#nowMs = this.#clock.nowMs()
    this.#sse.push(bytes)
  }

  #event(data: string): void {
    if (this.#isDone || this.#failure !== null) return
    const event = readStreamEvent(data)
    switch (event.kind) {
      case 'done':
        this.#isDone = true
        return
      case 'error':
        this.#failure = event.message
        return
      case 'chunk':
        if (event.content !== null) this.timeline.add(event.content, this.#nowMs)
        this.promptTokens = event.usage?.promptTokens ?? this.promptTokens
        this.completionTokens = event.usage?.completionTokens ?? this.completionTokens
    }
  }

  end(exchange: ExchangeEnd): AnswerEnd {
    if (this.#failure !== null) return { kind: 'failed', message: this.#failure }
    if (exchange.kind === 'refused') return { kind: 'failed', message: `HTTP ${exchange.status}: ${refusalMessageOf(exchange.body)}` }
    if (exchange.kind === 'failed') return { kind: 'failed', message: exchange.message }
    if (!exchange.contentType.includes('text/event-stream')) return { kind: 'failed', message: `not a stream: content type '${exchange.contentType}'` }
    if (!this.timeline.hasFinished) return { kind: 'failed', message: 'the stream ended without a finish reason' }
    return { kind: 'completed' }
  }
}

export class OpenAiClient implements GenerateClient {
  readonly #options: BenchServeOptions
  readonly #clock: Clock
  readonly #agent: Agent
  readonly #headers: Readonly<Record<string, string>>

  constructor(options: BenchServeOptions, clock: Clock) {
    const { apiKey, headers, baseUrl, insecure } = options.target
    this.#options = options
    this.#clock = clock
    const isTls = new URL(baseUrl).protocol === 'https:'
    this.#agent = isTls ? new HttpsAgent({ keepAlive: true, rejectUnauthorized: !insecure }) : new HttpAgent({ keepAlive: true })
    this.#headers = { ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }), ...headers }
  }

  async models(signal: AbortSignal): Promise<readonly string[]> {
    const url = new URL(`${this.#options.target.baseUrl}/v1/models`)
    const bytes: Buffer[] = []
    const end = await exchangeHttp({ method: 'GET', url, headers: this.#headers, body: null, agent: this.#agent, signal, onBytes: (part) => bytes.push(part) })
    if (end.kind === 'failed') throw new RubatoError('unavailable', `${end.message}; start the server, or name it with --base-url`)
    if (end.kind === 'refused') throw new RubatoError('unavailable', `${url.href} answered HTTP ${end.status}: ${refusalMessageOf(end.body)}`)
    try {
      const listing = JSON.parse(Buffer.concat(bytes).toString('utf8')) as { readonly data: readonly { readonly id: string }[] }
      return listing.data.map(({ id }) => id)
    } catch (error) {
      throw new RubatoError('unavailable', `${url.href} did not answer with a list of models; name one with --model`, { cause: error })
    }
  }

  async generate(model: string, request: PlannedRequest, signal: AbortSignal): Promise<Answer> {
    const { target } = this.#options
    const body = requestBody(this.#options, model, request)
    const reader = new StreamReader(this.#clock)
    const headers = {
      ...this.#headers,
      ...sloHeaders(sentTargets(this.#options, request)),
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
    }
    const url = new URL(target.baseUrl + target.endpoint)
    const startMs = this.#clock.nowMs()
    const exchange = await exchangeHttp({ method: 'POST', url, headers, body, agent: this.#agent, signal, onBytes: (bytes) => reader.push(bytes) })
    const end = reader.end(exchange)
    const { timeline } = reader
    return {
      end: end.kind === 'failed' && signal.aborted ? { kind: 'interrupted' } : end,
      startMs,
      endMs: this.#clock.nowMs(),
      chunkTimesMs: timeline.chunkTimesMs,
      chunkTokens: timeline.chunkTokens,
      // A usage of as many tokens as there were chunks says that each chunk was one.
      hasExactChunks: timeline.hasExactChunks || reader.completionTokens === timeline.chunkTimesMs.length,
      promptTokens: reader.promptTokens ?? request.promptTokens,
      outputTokens: timeline.numTokens(reader.completionTokens),
      tokenIds: timeline.tokenIds,
      text: timeline.text,
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}
