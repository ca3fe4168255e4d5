// The speculator's end of the Draft service: each stream is a session of its own, and what it holds ends with it.
//
// 1. A session hears its messages in order, and of its end exactly once, however the stream ends.
// 2. What an instance does not read is bounded: past MAX_UNREAD replies its stream is ended.
import { status } from '@grpc/grpc-js'
import type { handleBidiStreamingCall, ServerDuplexStream, UntypedServiceImplementation } from '@grpc/grpc-js'
import type { DraftReplyMessage, DraftRequestMessage } from '@rubato/model'
import type { DraftRequest__Output } from '../gen/rubato/v1/DraftRequest.ts'
import type { GrpcService } from '../grpc-server.ts'
import { DRAFT_SERVICE_NAME, EXCHANGE_METHOD, replyToWire, requestFromWire, STATUS_OF_REFUSAL } from './draft-wire.ts'
import type { WireReply } from './draft-wire.ts'

/** What serves one stream. */
export interface DraftSession {
  receive(message: DraftRequestMessage): void
  /** The stream is over. */
  ended(): void
}

/** The way back to the instance. */
export interface DraftSessionLink {
  /** `host:port` of the other end, for logs. */
  readonly peer: string
  /** A refusal without an ask ends the stream. Ignored once it is over. */
  reply(message: DraftReplyMessage): void
}

export type OpenDraftSession = (link: DraftSessionLink) => DraftSession

type ExchangeCall = ServerDuplexStream<DraftRequest__Output, WireReply>

/** Replies that gRPC has not sent yet. */
const MAX_UNREAD = 64

export interface DraftDoor {
  readonly service: GrpcService
  /** Ends every stream: a server waits for them when it closes. */
  endAll(): void
}

/** The Draft service for startGrpcServer. */
export function draftDoor(open: OpenDraftSession): DraftDoor {
  const streams = new Set<ExchangeStream>()
  const exchange: handleBidiStreamingCall<DraftRequest__Output, WireReply> = (call) => {
    const stream = new ExchangeStream(call, open, () => streams.delete(stream))
    streams.add(stream)
  }
  const handlers = { Exchange: exchange } as unknown as UntypedServiceImplementation
  return {
    service: { name: DRAFT_SERVICE_NAME, definition: { Exchange: EXCHANGE_METHOD }, handlers },
    endAll: () => {
      for (const stream of streams) stream.refuse(status.UNAVAILABLE, 'the speculator is leaving')
    },
  }
}

class ExchangeStream {
  readonly #call: ExchangeCall
  readonly #session: DraftSession
  readonly #onEnd: () => void
  #isOver = false

  constructor(call: ExchangeCall, open: OpenDraftSession, onEnd: () => void) {
    this.#call = call
    this.#onEnd = onEnd
    this.#session = open({ peer: call.getPeer(), reply: (message) => this.#reply(message) })
    call.on('data', (message: DraftRequest__Output) => this.#take(message))
    call.on('error', () => this.#end())
    call.on('cancelled', () => this.#end())
    call.on('end', () => {
      this.#end()
      call.end()
    })
  }

  /** Ends the stream from this side. */
  refuse(code: status, details: string): void {
    if (this.#isOver) return
    this.#end()
    this.#call.emit('error', { code, details })
  }

  #take(wire: DraftRequest__Output): void {
    if (this.#isOver) return
    const message = requestFromWire(wire)
    if (message === null) this.refuse(status.INVALID_ARGUMENT, 'a message without a body')
    else this.#session.receive(message)
  }

  #reply(message: DraftReplyMessage): void {
    if (this.#isOver) return
    if (message.kind === 'draft-refused' && message.askId === null) return this.refuse(STATUS_OF_REFUSAL[message.reason], message.message)
    if (this.#call.writableLength >= MAX_UNREAD) return this.refuse(status.RESOURCE_EXHAUSTED, `${MAX_UNREAD} replies were not read`)
    this.#call.write(replyToWire(message as Parameters<typeof replyToWire>[0]))
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#onEnd()
    this.#session.ended()
  }
}
