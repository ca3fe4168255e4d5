// Streams a generation as server-sent events.
//
// 1. Nothing is written before every request of the call was accepted, so that a refusal is an HTTP status.
// 2. Deltas of one tick leave in one write, in order; none is dropped or repeated.
// 3. Above maxBufferedBytes queued for the socket the group is paused; it resumes when the socket has drained.
// 4. After the last event, or the client's going, the group is never touched again.
import type { ServerResponse } from 'node:http'
import type { ClientError } from '../../client.ts'
import { DeltaBuffer } from '../../front-door/delta-buffer.ts'
import { brokenChoice } from '../../front-door/request-group.ts'
import type { DeltaEvent, GroupListener, GroupSummary, RequestGroup } from '../../front-door/request-group.ts'
import { httpErrorOf, openAiErrorOf, sendError } from '../http-error.ts'
import { ChunkWriter, errorEvent } from './chunk-writer.ts'
import { isBroken } from './response.ts'
import type { GenerationPlan } from './request.ts'

const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Asks nginx-like proxies not to collect the stream.
  'x-accel-buffering': 'no',
}

type Ending = { readonly kind: 'finished'; readonly summary: GroupSummary } | { readonly kind: 'failed'; readonly error: ClientError }

export class SseAnswer implements GroupListener {
  readonly #res: ServerResponse
  readonly #maxBufferedBytes: number
  readonly #writer: ChunkWriter
  readonly #deltas = new DeltaBuffer()
  #group: RequestGroup | null = null
  #started = false
  #paused = false
  #flushScheduled = false
  #ending: Ending | null = null
  #broken: 'cancelled' | 'error' | null = null

  constructor(plan: GenerationPlan, res: ServerResponse, maxBufferedBytes: number) {
    this.#res = res
    this.#maxBufferedBytes = maxBufferedBytes
    this.#writer = new ChunkWriter(plan, Date.now())
  }

  /** Must be called before the group is started. */
  attach(group: RequestGroup): void {
    this.#group = group
    this.#res.on('drain', () => {
      if (!this.#paused) return
      this.#paused = false
      group.resume()
    })
  }

  accepted(promptTokens: number): void {
    if (this.#res.destroyed) return
    this.#started = true
    this.#writer.setPromptTokens(promptTokens)
    this.#res.writeHead(200, EVENT_STREAM_HEADERS)
    this.#res.flushHeaders()
    this.#schedule()
  }

  delta(index: number, event: DeltaEvent): void {
    this.#deltas.add(index, event)
    if (isBroken(event.finish)) this.#broken ??= event.finish
    this.#schedule()
  }

  finished(summary: GroupSummary): void {
    this.#writer.setFingerprint(summary.systemFingerprint)
    this.#ending = this.#broken === null ? { kind: 'finished', summary } : { kind: 'failed', error: brokenChoice(this.#broken) }
    this.#schedule()
  }

  failed(error: ClientError): void {
    if (!this.#started) {
      sendError(this.#res, httpErrorOf(error))
      return
    }
    this.#ending = { kind: 'failed', error }
    this.#schedule()
  }

  #schedule(): void {
    if (this.#flushScheduled || !this.#started) return
    this.#flushScheduled = true
    queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    this.#flushScheduled = false
    const res = this.#res
    if (res.destroyed || res.writableEnded) return
    let events = ''
    this.#deltas.drain((index, event) => {
      events += this.#writer.delta(index, event)
    })
    if (this.#ending !== null) {
      const { kind } = this.#ending
      res.end(events + (kind === 'finished' ? this.#writer.end(this.#ending.summary) : errorEvent(openAiErrorOf(this.#ending.error))))
      return
    }
    if (events !== '') res.write(events)
    if (this.#paused || res.writableLength <= this.#maxBufferedBytes) return
    this.#paused = true
    this.#group?.pause()
  }
}
