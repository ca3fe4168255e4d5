// One running Generate call.
//
// 1. Deltas of one tick leave together, one message per choice, in order; none is dropped or repeated.
// 2. bufferedBytes = bytes written and not yet taken by HTTP/2 flow control. Above maxBufferedBytes the group is paused
//    until all of them are taken.
// 3. After the status, or the client's going, the group is never touched again.
import { Metadata } from '@grpc/grpc-js'
import type { ServerWritableStream } from '@grpc/grpc-js'
import type { TraceContext } from '@rubato/actor'
import type { GenerateRequest__Output, GenerateResponse } from '@rubato/rpc'
import { statusOf } from '@rubato/rpc'
import type { ClientError } from '../client.ts'
import { DeltaBuffer } from '../front-door/delta-buffer.ts'
import type { DeltaEvent, GroupListener, GroupSummary, RequestGroup } from '../front-door/request-group.ts'
import { REQUEST_ID_HEADER } from '../front-door/request-headers.ts'
import { estimatedBytes, toGenerateResponse } from './response-mapping.ts'

export type GenerateStream = ServerWritableStream<GenerateRequest__Output, GenerateResponse>

type Ending = { readonly kind: 'finished'; readonly summary: GroupSummary } | { readonly kind: 'failed'; readonly error: ClientError }

/** Ends a call with the failure's status, its google.rpc details and the request id. */
export function endWithFailure(call: GenerateStream, error: ClientError, requestId: string | null): void {
  const status = statusOf(error)
  if (requestId !== null) status.metadata.set(REQUEST_ID_HEADER, requestId)
  call.emit('error', status)
}

export class GenerateCall implements GroupListener {
  readonly requestId: string
  readonly #call: GenerateStream
  readonly #maxBufferedBytes: number
  readonly #deltas = new DeltaBuffer()
  #group: RequestGroup | null = null
  #ending: Ending | null = null
  #over = false
  #paused = false
  #flushScheduled = false
  #bufferedBytes = 0
  #takenBytes = 0
  #takenBytesSeen = 0
  #quietSweeps = 0

  constructor(call: GenerateStream, requestId: string, maxBufferedBytes: number) {
    this.#call = call
    this.requestId = requestId
    this.#maxBufferedBytes = maxBufferedBytes
  }

  /** Must be called before the group is started. */
  attach(group: RequestGroup): void {
    this.#group = group
  }

  /** For logs; null: not traced. */
  get trace(): TraceContext | null {
    return this.#group?.trace ?? null
  }

  accepted(): void {
    const metadata = new Metadata()
    metadata.set(REQUEST_ID_HEADER, this.requestId)
    if (!this.#over) this.#call.sendMetadata(metadata)
  }

  delta(index: number, event: DeltaEvent): void {
    this.#deltas.add(index, event)
    this.#schedule()
  }

  finished(summary: GroupSummary): void {
    this.#ending = { kind: 'finished', summary }
    this.#schedule()
  }

  failed(error: ClientError): void {
    this.#ending = { kind: 'failed', error }
    this.#schedule()
  }

  /** The client cancelled, disconnected, or its deadline passed. grpc-js says so after a normal end too. */
  left(): void {
    this.#over = true
    this.#group?.cancel()
  }

  /** Called at a fixed interval: true when the client took nothing for two intervals though something is queued. */
  isStalled(): boolean {
    const quiet = this.#bufferedBytes > 0 && this.#takenBytes === this.#takenBytesSeen
    this.#takenBytesSeen = this.#takenBytes
    this.#quietSweeps = quiet ? this.#quietSweeps + 1 : 0
    return this.#quietSweeps >= 2
  }

  /** Frees the request. The client gets what is queued and then the reason, should it ever read again. */
  stall(): void {
    if (this.#over) return
    this.left()
    endWithFailure(this.#call, { code: 'cancelled', message: 'The client read nothing for too long.', field: null, retryAfterMs: null, reason: 'slow_reader' }, this.requestId)
  }

  #schedule(): void {
    if (this.#flushScheduled || this.#over) return
    this.#flushScheduled = true
    queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    this.#flushScheduled = false
    if (this.#over) return
    const ending = this.#ending
    let summary = ending?.kind === 'finished' ? ending.summary : null
    this.#deltas.drain((index, event, isLast) => {
      this.#write(toGenerateResponse(index, event, isLast ? summary : null))
      if (isLast) summary = null
    })
    if (summary !== null) this.#write(toGenerateResponse(0, null, summary))
    if (ending === null) {
      this.#pauseIfFull()
      return
    }
    this.#over = true
    if (ending.kind === 'failed') endWithFailure(this.#call, ending.error, this.requestId)
    else this.#call.end()
  }

  #write(message: GenerateResponse): void {
    const sizeBytes = estimatedBytes(message)
    this.#bufferedBytes += sizeBytes
    this.#call.write(message, () => this.#taken(sizeBytes))
  }

  #taken(sizeBytes: number): void {
    this.#bufferedBytes -= sizeBytes
    this.#takenBytes += sizeBytes
    if (!this.#paused || this.#bufferedBytes > 0) return
    this.#paused = false
    this.#group?.resume()
  }

  #pauseIfFull(): void {
    if (this.#paused || this.#bufferedBytes <= this.#maxBufferedBytes) return
    this.#paused = true
    this.#group?.pause()
  }
}
