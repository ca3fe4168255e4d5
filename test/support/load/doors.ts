// One attempt at a request by one door of one router. What goes wrong on the way is told as a value: a client that may come
// back has to know whether that is of use.
import assert from 'node:assert/strict'
import { credentials, status } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { loadInferencePackage } from '@rubato/rpc'
import type { GenerateRequest, GenerateResponse__Output, ProtoGrpcType } from '@rubato/rpc'
import type { Answer } from './answer.ts'
import type { AskedRequest } from './mixed-requests.ts'

export interface RouterDoors {
  /** `http://host:port` */
  readonly http: string
  /** `host:port` */
  readonly grpc: string
}

export interface Attempt {
  readonly requestId: string
  readonly asked: AskedRequest
  /** It has been sent before: the answer goes on after what is there. */
  readonly isResume: boolean
  readonly answer: Answer
  /** Called at each sign of life. */
  readonly onProgress: () => void
  /** Aborting is the client leaving. */
  readonly signal: AbortSignal
}

export type AttemptEnd =
  | { readonly kind: 'complete' }
  /** Coming back is of use. */
  | { readonly kind: 'broken'; readonly message: string }
  | { readonly kind: 'refused'; readonly message: string }

const BROKEN_STATUS: ReadonlySet<number> = new Set([status.UNAVAILABLE, status.CANCELLED])
const BROKEN_HTTP: ReadonlySet<number> = new Set([499, 503])

type InferenceClient = InstanceType<ProtoGrpcType['rubato']['v1']['Inference']>

function endOf(answer: Answer): AttemptEnd {
  return answer.isComplete ? { kind: 'complete' } : { kind: 'broken', message: 'the stream ended before its answer' }
}

/** Clients of gRPC doors, one per address; the HTTP doors get a connection for each attempt. */
export class Doors {
  readonly #Inference = loadInferencePackage().rubato.v1.Inference
  readonly #clients = new Map<string, InferenceClient>()

  /** Never rejects because of the server; rejects when the answer itself is wrong. */
  attempt(router: RouterDoors, attempt: Attempt): Promise<AttemptEnd> {
    return attempt.asked.door === 'grpc' ? this.#grpc(router.grpc, attempt) : http(router.http, attempt)
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
  }

  #grpc(address: string, attempt: Attempt): Promise<AttemptEnd> {
    const { answer, signal, onProgress } = attempt
    // One index counts for all choices: with several everything is asked for again.
    if (answer.choices.length > 1) answer.startOver()
    const call = this.#clientOf(address).generate(grpcRequest(attempt))
    return new Promise((resolve, reject) => {
      const leave = (): void => call.cancel()
      signal.addEventListener('abort', leave, { once: true })
      const settle = (end: AttemptEnd): void => {
        signal.removeEventListener('abort', leave)
        resolve(end)
      }
      call.on('data', (message: GenerateResponse__Output) => {
        onProgress()
        try {
          takeGrpc(answer, message)
        } catch (error) {
          reject(error as Error)
          call.cancel()
        }
      })
      call.on('error', (error: ServiceError) => settle({ kind: isBroken(error) ? 'broken' : 'refused', message: `${status[error.code]}: ${error.details}` }))
      call.on('end', () => settle(endOf(answer)))
    })
  }

  #clientOf(address: string): InferenceClient {
    let client = this.#clients.get(address)
    if (client === undefined) {
      client = new this.#Inference(address, credentials.createInsecure(), { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 300 })
      this.#clients.set(address, client)
    }
    return client
  }
}

/** A connection that is reset is INTERNAL or UNKNOWN for grpc-js, depending on how far it was. */
function isBroken({ code, details }: ServiceError): boolean {
  return BROKEN_STATUS.has(code) || ((code === status.INTERNAL || code === status.UNKNOWN) && /RST_STREAM|ECONNRESET|closed/i.test(details))
}

function grpcRequest({ requestId, asked, isResume, answer }: Attempt): GenerateRequest {
  const { max_tokens: maxTokens, ignore_eos: ignoreEos, top_p: topP, top_k: topK, min_p: minP, stop, ...rest } = asked.sampling
  const { presence_penalty: presencePenalty, frequency_penalty: frequencyPenalty, repetition_penalty: repetitionPenalty, ...plain } = rest
  const optional = { topP, topK, minP, presencePenalty, frequencyPenalty, repetitionPenalty }
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  return {
    requestId,
    prompt: asked.prompt,
    cacheSalt: asked.cacheSalt,
    sampling: { maxTokens, ignoreEos, stop: [...(stop ?? [])], ...given, ...plain },
    ...(isResume ? { resumeFromIndex: answer.counts.length === 1 ? answer.counts[0]! : 0 } : {}),
  }
}

function takeGrpc(answer: Answer, message: GenerateResponse__Output): void {
  const { index, tokenIds, text, logprobs, finishReason, usage } = message
  const finish = finishReason === 'FINISH_REASON_UNSPECIFIED' ? null : finishReason.slice('FINISH_REASON_'.length).toLowerCase()
  const stopReason = message.stopString ?? message.stopTokenId ?? null
  // A message may carry the usage alone.
  if (tokenIds.length > 0 || text !== '' || finish !== null) answer.add({ index, tokenIds, text, finish, stopReason, logprobs: logprobs.map(({ logprob, top }) => [logprob, ...top.map((other) => other.logprob)]) })
  if (usage !== null) answer.completionTokens = usage.completionTokens
}

interface WireChoice {
  readonly index: number
  readonly text: string
  readonly token_ids: readonly number[]
  readonly finish_reason: string | null
  readonly stop_reason?: string | number | null
  readonly logprobs: { readonly token_logprobs: readonly number[]; readonly top_logprobs: readonly Readonly<Record<string, number>>[] } | null
}

interface WireAnswer {
  readonly choices?: readonly WireChoice[]
  readonly usage?: { readonly completion_tokens: number } | null
  readonly error?: { readonly message: string; readonly code?: string | null; readonly type?: string }
}

function http(url: string, attempt: Attempt): Promise<AttemptEnd> {
  const { requestId, asked, isResume, answer, signal } = attempt
  const isStream = asked.door === 'events'
  const { prompt, cacheSalt, sampling } = asked
  const body = JSON.stringify({
    prompt, ...sampling, return_token_ids: true, ...(cacheSalt === '' ? {} : { cache_salt: cacheSalt }), ...(isStream ? { stream: true, stream_options: { include_usage: true } } : {}),
  })
  const headers = { 'content-type': 'application/json', 'x-request-id': requestId, ...(isStream && isResume ? { 'last-event-id': answer.counts.join(',') } : {}) }
  return new Promise((resolve, reject) => {
    const broken = (error: Error): void => resolve({ kind: 'broken', message: error.message })
    const req = httpRequest(`${url}/v1/completions`, { method: 'POST', headers, agent: false, signal }, (response) => {
      response.on('error', broken)
      const isEvents = isStream && response.statusCode === 200
      const read = isEvents ? readEvents(response, attempt) : readJson(response, attempt)
      read.then(resolve, reject)
    })
    req.on('error', broken)
    req.end(body)
  })
}

async function readJson(response: IncomingMessage, { answer, onProgress, isResume }: Attempt): Promise<AttemptEnd> {
  const text = await textOf(response, onProgress)
  if (text === null) return { kind: 'broken', message: 'connection lost' }
  const parsed = JSON.parse(text) as WireAnswer
  if (response.statusCode !== 200) {
    const message = `HTTP ${response.statusCode}: ${parsed.error?.message}`
    // The id is held for the router that was lost, until that is known for gone.
    const isHeld = isResume && response.statusCode === 409
    return { kind: isHeld || BROKEN_HTTP.has(response.statusCode!) ? 'broken' : 'refused', message }
  }
  takeWire(answer, parsed)
  return endOf(answer)
}

/** null: it broke off. */
async function textOf(response: IncomingMessage, onProgress: () => void): Promise<string | null> {
  const parts: Buffer[] = []
  try {
    for await (const part of response) {
      onProgress()
      parts.push(part as Buffer)
    }
  } catch {
    return null
  }
  return response.complete ? Buffer.concat(parts).toString('utf8') : null
}

async function readEvents(response: IncomingMessage, { answer, onProgress }: Attempt): Promise<AttemptEnd> {
  let rest = ''
  response.setEncoding('utf8')
  const parts = response[Symbol.asyncIterator]() as AsyncIterator<string>
  for (;;) {
    const next = await parts.next().catch(() => null)
    if (next === null) return { kind: 'broken', message: 'connection lost' }
    if (next.done === true) return endOf(answer)
    onProgress()
    const events = (rest + next.value).split('\n\n')
    rest = events.pop()!
    for (const event of events) {
      const failure = takeEvent(answer, event)
      if (failure !== null) return failure
    }
  }
}

/** null: go on. */
function takeEvent(answer: Answer, event: string): AttemptEnd | null {
  const id = /^id: (.*)$/m.exec(event)?.[1] ?? null
  const data = /^data: (.*)$/m.exec(event)![1]!
  if (data === '[DONE]') return null
  const message = JSON.parse(data) as WireAnswer
  if (message.error !== undefined) return { kind: message.error.type === 'invalid_request_error' ? 'refused' : 'broken', message: `event: ${message.error.message}` }
  takeWire(answer, message)
  // The server's own account of what the client has by now.
  if (id !== null) assert.equal(id, answer.counts.join(','), 'the event id is not what the client has')
  return null
}

function takeWire(answer: Answer, { choices = [], usage }: WireAnswer): void {
  for (const { index, text, token_ids: tokenIds, finish_reason: finish, stop_reason: stopReason = null, logprobs } of choices) {
    const all = logprobs === null ? [] : logprobs.token_logprobs.map((logprob, at) => [logprob, ...Object.values(logprobs.top_logprobs[at]!)])
    answer.add({ index, text, tokenIds: [...tokenIds], finish, stopReason, logprobs: all })
  }
  if (usage !== null && usage !== undefined) answer.completionTokens = usage.completion_tokens
}
