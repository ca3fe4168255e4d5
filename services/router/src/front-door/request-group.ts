// One client call as the router sees it: one request per prompt, merged into one stream of choices.
//
// 1. The listener gets exactly one of finished and failed, and nothing after it or after cancel().
// 2. When one request fails the others are cancelled: a call works as a whole or not at all.
// 3. Choice c of prompt p has index p * n + c.
import type { TraceContext } from '@rubato/actor'
import { failureOf } from '@rubato/rpc'
import type { ClientError, ClientEvent, ClientHandle, ClientRequest, RequestTiming, RouterPort, Usage } from '../client.ts'

export type DeltaEvent = Extract<ClientEvent, { kind: 'delta' }>

export interface GroupSummary {
  readonly usage: Usage
  /** Of the last request to finish. */
  readonly timing: RequestTiming
  readonly systemFingerprint: string
}

export interface GroupListener {
  /** Every request passed its checks. Deltas of early ones may have come before. */
  accepted(promptTokens: number): void
  delta(index: number, event: DeltaEvent): void
  finished(summary: GroupSummary): void
  failed(error: ClientError): void
}

const NO_USAGE: Usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 }

export class RequestGroup {
  readonly #listener: GroupListener
  readonly #handles: (ClientHandle | null)[] = []
  #numRequests = 0
  #numAccepted = 0
  #numFinished = 0
  #promptTokens = 0
  #usage = NO_USAGE
  #over = false
  #paused = false

  constructor(listener: GroupListener) {
    this.#listener = listener
  }

  /** Of its first request that runs, for logs; null: none is traced. */
  get trace(): TraceContext | null {
    return this.#handles.find((handle) => handle?.trace !== undefined)?.trace ?? null
  }

  /** Throws what submit throws; then nothing is left running. */
  start(router: RouterPort, requests: readonly ClientRequest[]): void {
    this.#numRequests = requests.length
    try {
      for (const [position, request] of requests.entries()) {
        if (this.#over) return
        this.#submit(router, request, position)
      }
    } catch (error) {
      this.cancel()
      throw error
    }
  }

  #submit(router: RouterPort, request: ClientRequest, position: number): void {
    const firstIndex = position * request.n
    // The first events may come before submit returns.
    this.#handles[position] = null
    let ended = false
    const handle = router.submit(request, (event) => {
      if (event.kind === 'finished' || event.kind === 'failed') {
        ended = true
        this.#handles[position] = null
      }
      if (!this.#over) this.#receive(event, firstIndex)
    })
    if (ended) return
    this.#handles[position] = handle
    if (this.#over) handle.cancel()
    else if (this.#paused) handle.pause()
  }

  #receive(event: ClientEvent, firstIndex: number): void {
    switch (event.kind) {
      case 'accepted':
        this.#numAccepted++
        this.#promptTokens += event.promptTokens
        if (this.#numAccepted === this.#numRequests) this.#listener.accepted(this.#promptTokens)
        return
      case 'delta':
        this.#listener.delta(firstIndex + event.index, event)
        return
      case 'finished':
        this.#finish(event)
        return
      case 'failed':
        this.cancel()
        this.#listener.failed(event.error)
        return
    }
  }

  #finish(event: Extract<ClientEvent, { kind: 'finished' }>): void {
    this.#usage = {
      promptTokens: this.#usage.promptTokens + event.usage.promptTokens,
      cachedTokens: this.#usage.cachedTokens + event.usage.cachedTokens,
      completionTokens: this.#usage.completionTokens + event.usage.completionTokens,
    }
    if (++this.#numFinished < this.#numRequests) return
    this.#over = true
    this.#listener.finished({ usage: this.#usage, timing: event.timing, systemFingerprint: event.systemFingerprint })
  }

  /** The client left. No-op when the call is over. */
  cancel(): void {
    if (this.#over) return
    this.#over = true
    for (const handle of this.#handles) handle?.cancel()
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    if (!this.#over) for (const handle of this.#handles) handle?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#over) for (const handle of this.#handles) handle?.resume()
  }
}

/** What the client of a choice is told when the router ended it without a finish of its own. */
export function brokenChoice(finish: 'cancelled' | 'error'): ClientError {
  const cancelled = finish === 'cancelled'
  return {
    code: cancelled ? 'unavailable' : 'internal',
    message: cancelled ? 'The server cancelled the request before it was complete. Send it again.' : 'The request failed on the server.',
    field: null,
    retryAfterMs: null,
    reason: cancelled ? 'cancelled' : 'internal',
  }
}

/** A thrown value as an error for the client. */
export function clientErrorOf(error: unknown): ClientError {
  const failure = failureOf(error)
  const reason = error instanceof Error && 'reason' in error && typeof error.reason === 'string' ? error.reason : failure.reason
  return { ...failure, code: failure.code as ClientError['code'], reason }
}
