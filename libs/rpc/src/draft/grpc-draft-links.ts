// Speculators over gRPC: to each that is asked one stream, opened by the first ask and kept.
//
// 1. A stream that ends takes its asks with it. The next ask opens another one, at once: no backoff is inherited. Whoever asks
//    decides how soon that is.
// 2. What a speculator does not read is bounded: past MAX_UNREAD messages its stream has failed.
import { Client, credentials, status } from '@grpc/grpc-js'
import type { ChannelCredentials, ChannelOptions, ClientDuplexStream, StatusObject } from '@grpc/grpc-js'
import { RubatoError } from '@rubato/config'
import type { DraftAnswer, DraftAsk, DraftNews, DraftPeer, DraftRequestMessage } from '@rubato/model'
import type { DraftReply__Output } from '../gen/rubato/v1/DraftReply.ts'
import type { DraftLinks } from './draft-links.ts'
import { EXCHANGE_METHOD, replyFromWire, requestToWire } from './draft-wire.ts'
import type { WireRequest } from './draft-wire.ts'

/** PEM texts. Both ends present their certificate, and trust those that `ca` signed. */
export interface DraftTls {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer
}

export interface GrpcDraftLinksOptions {
  readonly peer: DraftPeer
  /** null: plain text, for loopback and trusted networks. */
  readonly tls: DraftTls | null
  /** A stream without an ask for this long, or a little longer, is closed. @default 60000 */
  readonly idleCloseMs?: number
  /** A speculator refused the hello: what it serves has another vocabulary. Told once per stream. */
  readonly onRefused?: (speculator: string, message: string) => void
}

type Settle = (result: DraftAnswer | RubatoError) => void

const IDLE_CLOSE_MS = 60_000
const MAX_UNREAD = 64
const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.enable_retries': 0,
  // Else a new stream would inherit the connection, and the backoff, of the one that failed.
  'grpc.use_local_subchannel_pool': 1,
}

export function grpcDraftLinks({ peer, tls, idleCloseMs = IDLE_CLOSE_MS, onRefused = () => {} }: GrpcDraftLinksOptions): DraftLinks {
  const channel = tls === null ? credentials.createInsecure() : credentials.createSsl(tls.ca, tls.key, tls.cert)
  const streams = new Map<string, DraftStream>()
  let isClosed = false
  const streamTo = (speculator: string): DraftStream => {
    const known = streams.get(speculator)
    if (known !== undefined) return known
    const stream: DraftStream = new DraftStream(speculator, { channel, peer, idleCloseMs, onRefused, onEnd: () => streams.delete(speculator) })
    streams.set(speculator, stream)
    return stream
  }
  return {
    ask: (speculator, ask, settle) => {
      if (!isClosed) return streamTo(speculator).ask(ask, settle)
      settle(linkFailed(speculator, 'the links are closed'))
      return () => {}
    },
    tell: (speculator, news) => streams.get(speculator)?.tell(news),
    close: () => {
      isClosed = true
      for (const [speculator, stream] of streams) stream.end(linkFailed(speculator, 'the links are closed'))
    },
  }
}

interface StreamParts {
  readonly channel: ChannelCredentials
  readonly peer: DraftPeer
  readonly idleCloseMs: number
  readonly onRefused: (speculator: string, message: string) => void
  /** It is not to be asked any more. */
  readonly onEnd: () => void
}

class DraftStream {
  readonly #speculator: string
  readonly #parts: StreamParts
  readonly #client: Client
  readonly #call: ClientDuplexStream<WireRequest, DraftReply__Output>
  readonly #asks = new Map<number, Settle>()
  readonly #idle: NodeJS.Timeout
  #isOver = false

  constructor(speculator: string, parts: StreamParts) {
    this.#speculator = speculator
    this.#parts = parts
    this.#client = new Client(speculator, parts.channel, CHANNEL_OPTIONS)
    const { path, requestSerialize, responseDeserialize } = EXCHANGE_METHOD
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    this.#call.on('data', (reply: DraftReply__Output) => this.#take(reply))
    // Told again as status.
    this.#call.on('error', () => {})
    this.#call.on('status', (end: StatusObject) => {
      if (end.code === status.FAILED_PRECONDITION && !this.#isOver) parts.onRefused(speculator, end.details)
      this.end(failureOf(speculator, end))
    })
    this.#idle = setInterval(() => {
      if (this.#asks.size === 0) this.end(linkFailed(speculator, 'nothing was asked'))
    }, parts.idleCloseMs)
    this.#idle.unref()
    this.#write({ kind: 'draft-hello', peer: parts.peer })
  }

  ask(ask: DraftAsk, settle: Settle): () => void {
    this.#asks.set(ask.askId, settle)
    this.#idle.refresh()
    this.#write({ kind: 'draft-ask', ask })
    return () => void this.#asks.delete(ask.askId)
  }

  tell(news: DraftNews): void {
    this.#write({ kind: 'draft-news', news })
  }

  /** Fails what was asked. Idempotent. */
  end(failure: RubatoError): void {
    if (this.#isOver) return
    this.#isOver = true
    clearInterval(this.#idle)
    this.#parts.onEnd()
    this.#call.cancel()
    this.#client.close()
    const asks = [...this.#asks.values()]
    this.#asks.clear()
    for (const settle of asks) settle(failure)
  }

  #write(message: DraftRequestMessage): void {
    if (this.#isOver) return
    if (this.#call.writableLength >= MAX_UNREAD) return this.end(linkFailed(this.#speculator, `${MAX_UNREAD} messages were not read`))
    const wire = requestToWire(message)
    if (wire !== null) this.#call.write(wire)
  }

  #take(wire: DraftReply__Output): void {
    if (this.#isOver) return
    const reply = replyFromWire(wire)
    if (reply === null) return this.end(linkFailed(this.#speculator, 'it sent a message without a body'))
    const askId = reply.kind === 'answer' ? reply.answer.askId : reply.askId
    const settle = this.#asks.get(askId)
    this.#asks.delete(askId)
    settle?.(reply.kind === 'answer' ? reply.answer : new RubatoError('draft_busy', `${this.#speculator} does not take the ask: ${reply.message}`, { retryable: true }))
  }
}

function linkFailed(speculator: string, reason: string): RubatoError {
  return new RubatoError('draft_link_failed', `the link to speculator ${speculator} failed: ${reason}`, { retryable: true })
}

function failureOf(speculator: string, { code, details }: StatusObject): RubatoError {
  if (code === status.FAILED_PRECONDITION) return new RubatoError('draft_refused', `speculator ${speculator} refused: ${details}`)
  return linkFailed(speculator, code === status.OK ? 'it ended the stream' : `${status[code]}: ${details}`)
}
