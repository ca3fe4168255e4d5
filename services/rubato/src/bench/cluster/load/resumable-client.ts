// A client as the contract wants it of those who must not lose a stream: it spreads requests over all routers, and when a
// stream breaks it goes on at another one with the same request id, from the token after the last that it has.
//
// 1. A token that arrived is never asked for again, and a stream that goes on is never started over.
// 2. What a server refuses for good is not tried again; an unreachable or silent router is, within the time limit.
import { credentials, status } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import { loadInferencePackage } from '@rubato/rpc'
import type { GenerateRequest, GenerateResponse__Output, ProtoGrpcType } from '@rubato/rpc'
import type { Answer, AnswerEnd, GenerateClient } from '../../serve/client/generate-client.ts'
import { grpcRequest } from '../../serve/client/grpc-client.ts'
import { TokenTimeline } from '../../serve/client/token-timeline.ts'
import type { PlannedRequest } from '../../serve/dataset/planned-request.ts'
import type { Clock } from '../../serve/load/clock.ts'
import type { BenchServeOptions } from '../../serve/options.ts'

type InferenceClient = InstanceType<ProtoGrpcType['rubato']['v1']['Inference']>

export interface ResumableClientOptions {
  readonly options: BenchServeOptions
  readonly clock: Clock
  /** HOST:PORT of the routers there are now. */
  readonly addresses: () => readonly string[]
  /** Request ids are `runId-index`. */
  readonly runId: string
  /** How long a request may go without a new token, over all attempts, before it has failed. */
  readonly giveUpMs: number
  /** A stream that says nothing for this long is taken for dead, and resumed at another router. */
  readonly silenceMs: number
  /** Runs a callback later; returns how to cancel it. @default a timer */
  readonly schedule?: (delayMs: number, callback: () => void) => () => void
}

export interface ResumeCounts {
  /** Streams that broke and were taken up again after tokens had come. */
  numResumed: number
  /** Attempts that ended before the first token and were made again. */
  numRetried: number
}

type Attempt =
  | { readonly kind: 'ended'; readonly end: AnswerEnd }
  | { readonly kind: 'broken'; readonly message: string }

const RETRY_PAUSE_MS = 100

function startTimer(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs)
  return () => clearTimeout(timer)
}

/** What a restart, a killed router or a drained one looks like to a client. */
const BROKEN: ReadonlySet<status> = new Set([status.UNAVAILABLE, status.CANCELLED, status.UNKNOWN, status.ABORTED])

function isBroken(error: ServiceError): boolean {
  return BROKEN.has(error.code) || (error.code === status.INTERNAL && /RST_STREAM|reset|closed/i.test(error.details))
}

export class ResumableClient implements GenerateClient {
  readonly counts: ResumeCounts = { numResumed: 0, numRetried: 0 }
  readonly #options: ResumableClientOptions
  readonly #clients = new Map<string, InferenceClient>()
  #turn = 0

  constructor(options: ResumableClientOptions) {
    this.#options = options
  }

  models(signal: AbortSignal): Promise<readonly string[]> {
    const address = this.#nextAddress()
    if (address === null) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const call = this.#clientOf(address).listModels({}, (error, answer) => (error === null ? resolve((answer?.models ?? []).map(({ id }) => id)) : reject(error)))
      signal.addEventListener('abort', () => call.cancel(), { once: true })
    })
  }

  async generate(model: string, request: PlannedRequest, signal: AbortSignal): Promise<Answer> {
    const { clock, runId, giveUpMs } = this.#options
    const timeline = new TokenTimeline()
    const message = this.#messageFor(model, request, `${runId}-${request.index}`)
    const startMs = clock.nowMs()
    let lastTokenMs = startMs
    let end: AnswerEnd | null = null
    for (let attempt = 0; end === null; attempt++) {
      const numBefore = timeline.tokenIds.length
      const outcome = await this.#attempt(attempt === 0 ? message : { ...message, resumeFromIndex: numBefore }, timeline, signal)
      if (timeline.tokenIds.length > numBefore) lastTokenMs = clock.nowMs()
      if (outcome.kind === 'ended') end = outcome.end
      else if (signal.aborted) end = { kind: 'interrupted' }
      else if (clock.nowMs() - lastTokenMs > giveUpMs) end = { kind: 'failed', message: `gave up: ${outcome.message}` }
      else {
        if (timeline.tokenIds.length > 0) this.counts.numResumed++
        else this.counts.numRetried++
        await clock.sleepUntil(clock.nowMs() + RETRY_PAUSE_MS, signal)
      }
    }
    const { chunkTimesMs, chunkTokens, hasExactChunks, tokenIds, text } = timeline
    const promptTokens = request.promptTokens
    return { end, startMs, endMs: clock.nowMs(), chunkTimesMs, chunkTokens, hasExactChunks, promptTokens, outputTokens: timeline.numTokens(null), tokenIds, text }
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
  }

  /** The seed is the request's own, so that another run of the same plan asks for the same tokens. */
  #messageFor(model: string, request: PlannedRequest, requestId: string): GenerateRequest {
    const { options } = this.#options
    const message = grpcRequest(options, model, request)
    return { ...message, requestId, sampling: { ...message.sampling, seed: options.seed * 1_000_003 + request.index } }
  }

  #attempt(message: GenerateRequest, timeline: TokenTimeline, signal: AbortSignal): Promise<Attempt> {
    const address = this.#nextAddress()
    if (address === null) return Promise.resolve({ kind: 'broken', message: 'no router runs' })
    const { clock, silenceMs, schedule = startTimer } = this.#options
    return new Promise((resolve) => {
      let finishReason = ''
      let isSilent = false
      const call = this.#clientOf(address).generate(message)
      const cancel = (): void => call.cancel()
      const onSilence = (): void => {
        isSilent = true
        call.cancel()
      }
      let stopSilence = schedule(silenceMs, onSilence)
      signal.addEventListener('abort', cancel, { once: true })
      const settle = (outcome: Attempt): void => {
        stopSilence()
        signal.removeEventListener('abort', cancel)
        resolve(outcome)
      }
      call.on('data', (response: GenerateResponse__Output) => {
        stopSilence()
        stopSilence = schedule(silenceMs, onSilence)
        const finished = response.finishReason !== 'FINISH_REASON_UNSPECIFIED'
        if (finished) finishReason = response.finishReason
        timeline.add({ text: response.text, tokenIds: response.tokenIds, completionTokens: null, finished: false }, clock.nowMs())
      })
      call.on('error', (error: ServiceError) => {
        const text = `${status[error.code]}: ${error.details}`.slice(0, 300)
        if (isSilent || isBroken(error)) settle({ kind: 'broken', message: isSilent ? `silent for ${silenceMs} ms` : text })
        else settle({ kind: 'ended', end: signal.aborted ? { kind: 'interrupted' } : { kind: 'failed', message: text } })
      })
      call.on('end', () => settle(endOf(finishReason)))
    })
  }

  #nextAddress(): string | null {
    const addresses = this.#options.addresses()
    return addresses[this.#turn++ % Math.max(addresses.length, 1)] ?? null
  }

  #clientOf(address: string): InferenceClient {
    let client = this.#clients.get(address)
    if (client === undefined) {
      client = new (loadInferencePackage().rubato.v1.Inference)(address, credentials.createInsecure(), { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 500 })
      this.#clients.set(address, client)
    }
    return client
  }
}

function endOf(finishReason: string): Attempt {
  switch (finishReason) {
    case 'FINISH_REASON_STOP':
    case 'FINISH_REASON_LENGTH':
      return { kind: 'ended', end: { kind: 'completed' } }
    case '':
      return { kind: 'broken', message: 'the stream ended without a finish reason' }
    default:
      return { kind: 'broken', message: `ended with ${finishReason}` }
  }
}
