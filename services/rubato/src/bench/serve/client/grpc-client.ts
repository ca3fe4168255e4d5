// The client of a rubato.v1 Inference service. Token ids come with every message, so that counts are exact.
import { Metadata, credentials, status } from '@grpc/grpc-js'
import type { ChannelCredentials, ServiceError } from '@grpc/grpc-js'
import { RubatoError } from '@rubato/config'
import { loadInferencePackage } from '@rubato/rpc'
import type { GenerateRequest, GenerateResponse__Output, ProtoGrpcType } from '@rubato/rpc'
import type { PlannedRequest } from '../dataset/planned-request.ts'
import type { Clock } from '../load/clock.ts'
import type { BenchServeOptions } from '../options.ts'
import { sentTargets } from './generate-client.ts'
import type { Answer, AnswerEnd, GenerateClient } from './generate-client.ts'
import { TokenTimeline } from './token-timeline.ts'

type InferenceClient = InstanceType<ProtoGrpcType['rubato']['v1']['Inference']>

const TLS_PREFIX = 'grpcs://'

function channelOf(address: string, insecure: boolean): { readonly host: string; readonly credentials: ChannelCredentials } {
  if (!address.startsWith(TLS_PREFIX)) return { host: address.replace(/^grpc:\/\//, ''), credentials: credentials.createInsecure() }
  return { host: address.slice(TLS_PREFIX.length), credentials: credentials.createSsl(null, null, null, { rejectUnauthorized: !insecure }) }
}

export function grpcRequest(options: BenchServeOptions, model: string, request: PlannedRequest): GenerateRequest {
  const { temperature, topP, topK, minP, ignoreEos } = options.sampling
  const { input } = request
  const targets = sentTargets(options, request)
  return {
    model,
    ...(input.kind === 'text' ? { prompt: input.text } : { tokenIds: { ids: [...input.tokenIds] } }),
    sampling: {
      maxTokens: request.maxTokens,
      ignoreEos,
      ...(temperature === null ? {} : { temperature }),
      ...(topP === null ? {} : { topP }),
      ...(topK === null ? {} : { topK }),
      ...(minP === null ? {} : { minP }),
    },
    ...(targets === null ? {} : { slo: { ...(targets.ttftMs === null ? {} : { ttftMs: targets.ttftMs }), ...(targets.tpotMs === null ? {} : { tpotMs: targets.tpotMs }) } }),
  }
}

const FAILED_REASONS: ReadonlySet<string> = new Set(['FINISH_REASON_CANCELLED', 'FINISH_REASON_ERROR'])

function endOf(error: ServiceError | null, finishReason: string, signal: AbortSignal): AnswerEnd {
  if (error !== null && signal.aborted) return { kind: 'interrupted' }
  if (error !== null) return { kind: 'failed', message: `${status[error.code]}: ${error.details}`.slice(0, 500) }
  if (finishReason === '') return { kind: 'failed', message: 'the stream ended without a finish reason' }
  return FAILED_REASONS.has(finishReason) ? { kind: 'failed', message: `ended with ${finishReason}` } : { kind: 'completed' }
}

export class GrpcClient implements GenerateClient {
  readonly #options: BenchServeOptions
  readonly #clock: Clock
  readonly #client: InferenceClient
  readonly #metadata = new Metadata()

  constructor(options: BenchServeOptions, clock: Clock) {
    const { grpcAddress, insecure, apiKey, headers } = options.target
    const channel = channelOf(grpcAddress, insecure)
    this.#options = options
    this.#clock = clock
    this.#client = new (loadInferencePackage().rubato.v1.Inference)(channel.host, channel.credentials)
    if (apiKey !== null) this.#metadata.set('authorization', `Bearer ${apiKey}`)
    for (const [name, value] of Object.entries(headers)) this.#metadata.set(name, value)
  }

  models(signal: AbortSignal): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      const call = this.#client.listModels({}, this.#metadata, (error, answer) => {
        if (error === null) resolve((answer?.models ?? []).map(({ id }) => id))
        else reject(new RubatoError('unavailable', `${this.#options.target.grpcAddress}: ${error.details}; start the server, or name it with --grpc`, { cause: error }))
      })
      signal.addEventListener('abort', () => call.cancel(), { once: true })
    })
  }

  generate(model: string, request: PlannedRequest, signal: AbortSignal): Promise<Answer> {
    const message = grpcRequest(this.#options, model, request)
    const timeline = new TokenTimeline()
    let promptTokens = request.promptTokens
    let finishReason = ''
    const startMs = this.#clock.nowMs()
    const call = this.#client.generate(message, this.#metadata)
    const cancel = (): void => call.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    call.on('data', (response: GenerateResponse__Output) => {
      const finished = response.finishReason !== 'FINISH_REASON_UNSPECIFIED'
      if (finished) finishReason = response.finishReason
      promptTokens = response.usage?.promptTokens ?? promptTokens
      timeline.add({ text: response.text, tokenIds: response.tokenIds, completionTokens: null, finished }, this.#clock.nowMs())
    })
    return new Promise((resolve) => {
      const settle = (error: ServiceError | null): void => {
        signal.removeEventListener('abort', cancel)
        const { chunkTimesMs, chunkTokens, hasExactChunks, tokenIds, text } = timeline
        const end = endOf(error, finishReason, signal)
        resolve({ end, startMs, endMs: this.#clock.nowMs(), chunkTimesMs, chunkTokens, hasExactChunks, promptTokens, outputTokens: timeline.numTokens(null), tokenIds, text })
      }
      call.on('error', settle)
      call.on('end', () => settle(null))
    })
  }

  close(): void {
    this.#client.close()
  }
}
