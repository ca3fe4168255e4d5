// Clients that keep a cluster busy over gRPC, each as the contract wants a client: a stream that breaks is taken up again at
// any router with the same request id, from the token after the last that came.
//
// 1. What is asked and what must come is fixed by the index of a request: tokens of the synthetic engine follow from it.
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { credentials, status } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import { loadCheckpoint } from '@rubato/model/checkpoint'
import { loadInferencePackage } from '@rubato/rpc'
import type { GenerateResponse__Output, ProtoGrpcType } from '@rubato/rpc'
import { syntheticTokens } from '@rubato/sim/synthetic'
import { TARGET_DIR } from '../cluster.ts'

type Client = InstanceType<ProtoGrpcType['rubato']['v1']['Inference']>

export interface Ask {
  readonly requestId: string
  readonly promptIds: readonly number[]
  readonly maxTokens: number
  readonly seed: number
}

export interface Given {
  readonly ask: Ask
  readonly tokenIds: readonly number[]
  /** null: it finished. */
  readonly error: string | null
  /** Streams that broke after tokens had come, and attempts that ended before. */
  readonly numResumes: number
  readonly numRetries: number
}

export interface SteadyLoadOptions {
  /** `host:port` of the routers to be used now. */
  readonly routers: () => readonly string[]
  readonly ask: (index: number) => Ask
  readonly concurrency: number
  /** How often one request may begin or go on elsewhere without a new token in between. @default 0: never */
  readonly maxAttempts?: number
}

/** What a restarted or killed router looks like. */
const BROKEN: ReadonlySet<status> = new Set([status.UNAVAILABLE, status.CANCELLED, status.UNKNOWN, status.ABORTED])
const RETRY_PAUSE_MS = 100

/** A prompt of its own for every index, lengths around `meanTokens`. */
export function askOf(label: string, index: number, { meanTokens, maxTokens }: { readonly meanTokens: number; readonly maxTokens: number }): Ask {
  const length = Math.max(1, Math.round(meanTokens * (0.5 + ((index * 37) % 100) / 100)))
  const promptIds = Array.from({ length }, (_, place) => 300 + ((index * 131 + place * 17) % 600))
  return { requestId: `${label}-${index}`, promptIds, maxTokens, seed: index + 1 }
}

/** What the synthetic engine must give for an ask, whatever happens on the way. */
export async function syntheticAnswers(): Promise<(ask: Ask) => readonly number[]> {
  const { config } = await loadCheckpoint(TARGET_DIR)
  return ({ promptIds, maxTokens, seed }) => syntheticTokens({ promptIds, sequence: 0, sampling: { ...SAMPLING, maxTokens, seed } }, { vocabSize: config.vocabSize, eosTokenIds: config.eosTokenIds })
}

const SAMPLING = {
  maxTokens: 1, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [], seed: 0,
  stopTokenIds: [], ignoreEos: true, logprobs: null,
} as const

export class SteadyLoad {
  readonly given: Given[] = []
  readonly #options: SteadyLoadOptions
  readonly #clients = new Map<string, Client>()
  #limit = Infinity
  #isClosed = false
  #next = 0
  #turn = 0
  #streaming = 0
  readonly #open = new Set<Promise<Given>>()
  readonly #loops: Promise<unknown>

  /** Begins at once and goes on until told to finish, or until the test has ended. */
  constructor(test: { after(hook: () => void): void }, options: SteadyLoadOptions) {
    this.#options = options
    test.after(() => this.#close())
    this.#loops = Promise.all(Array.from({ length: options.concurrency }, () => this.#loop()))
  }

  /** Streams that have brought a token and are not at their end. */
  get numStreaming(): number {
    return this.#streaming
  }

  /** Resolves once every request that had begun by now has ended. */
  async allBegunEnded(): Promise<void> {
    await Promise.all(this.#open)
  }

  /** Sends no more than the requests begun so far, or that many in all; resolves once all have ended. */
  async finish(numRequests = 0): Promise<readonly Given[]> {
    this.#limit = Math.max(numRequests, this.#next)
    await this.#loops
    this.#close()
    return this.given
  }

  #close(): void {
    this.#limit = 0
    this.#isClosed = true
    for (const client of this.#clients.values()) client.close()
  }

  async #loop(): Promise<void> {
    while (this.#next < this.#limit) {
      const request = this.#request(this.#options.ask(this.#next++))
      this.#open.add(request)
      this.given.push(await request)
      this.#open.delete(request)
    }
  }

  async #request(ask: Ask): Promise<Given> {
    const tokenIds: number[] = []
    const { maxAttempts = 0 } = this.#options
    const counts = { numResumes: 0, numRetries: 0 }
    for (let attempts = 0; ; attempts++) {
      const numBefore = tokenIds.length
      const error = await this.#attempt(ask, tokenIds, attempts + counts.numResumes + counts.numRetries > 0)
      if (error === null) return { ask, tokenIds, error: null, ...counts }
      if (tokenIds.length > numBefore) attempts = 0
      if (this.#isClosed || attempts >= maxAttempts || !BROKEN.has(error.code)) return { ask, tokenIds, error: `${status[error.code]}: ${error.details}`, ...counts }
      if (tokenIds.length > 0) counts.numResumes++
      else counts.numRetries++
      await delay(RETRY_PAUSE_MS)
    }
  }

  async #attempt({ requestId, promptIds, maxTokens, seed }: Ask, tokenIds: number[], isResumed: boolean): Promise<ServiceError | null> {
    const addresses = this.#options.routers()
    const call = this.#clientOf(addresses[this.#turn++ % addresses.length]!).generate({
      requestId, tokenIds: { ids: [...promptIds] }, sampling: { maxTokens, seed, temperature: 1, ignoreEos: true }, ...(isResumed ? { resumeFromIndex: tokenIds.length } : {}),
    })
    let isStreaming = false
    call.on('data', (message: GenerateResponse__Output) => {
      tokenIds.push(...message.tokenIds)
      if (!isStreaming) this.#streaming++
      isStreaming = true
    })
    try {
      await once(call, 'end')
      return null
    } catch (error) {
      return error as ServiceError
    } finally {
      if (isStreaming) this.#streaming--
    }
  }

  #clientOf(address: string): Client {
    let client = this.#clients.get(address)
    if (client === undefined) {
      client = new (loadInferencePackage().rubato.v1.Inference)(address, credentials.createInsecure(), { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 500 })
      this.#clients.set(address, client)
    }
    return client
  }
}
