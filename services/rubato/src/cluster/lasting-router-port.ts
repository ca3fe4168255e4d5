// The router as front doors see it for as long as the process lives, through any number of router actors. An actor ends
// when its lease was lost: what it relayed then goes on elsewhere, and its clients are told to resume.
//
// 1. A sink hears one last event: its actor's, or `unavailable` when that ended first.
import { RubatoError } from '@rubato/config'
import type { ClientError, ClientHandle, ClientInput, ClientRequest, ClientSink, ModelCard, RouterPort } from '@rubato/service-router'

interface Call {
  readonly sink: ClientSink
  isOpen: boolean
}

const RETRY_AFTER_MS = 1_000
const IDLE_HANDLE: ClientHandle = { cancel: () => {}, pause: () => {}, resume: () => {} }

const FENCED: ClientError = {
  code: 'unavailable',
  message: 'this router lost its place in the cluster; come back with the same request id and the tokens received so far to go on',
  field: null,
  retryAfterMs: RETRY_AFTER_MS,
  reason: 'router_fenced',
}
const JOINING: ClientError = { ...FENCED, message: 'this router is joining the cluster', reason: 'router_joining' }

export class LastingRouterPort implements RouterPort {
  readonly #models: readonly ModelCard[]
  readonly #calls = new Set<Call>()
  #current: RouterPort | null = null

  constructor(models: readonly ModelCard[]) {
    this.#models = models
  }

  begin(port: RouterPort): void {
    this.#current = port
  }

  /** Fails every request under way; new ones are refused until the next begin(). */
  end(): void {
    this.#current = null
    const calls = [...this.#calls]
    this.#calls.clear()
    for (const call of calls) {
      call.isOpen = false
      call.sink({ kind: 'failed', error: FENCED })
    }
  }

  submit(request: ClientRequest, sink: ClientSink): ClientHandle {
    if (this.#current === null) {
      queueMicrotask(() => sink({ kind: 'failed', error: JOINING }))
      return IDLE_HANDLE
    }
    const call: Call = { sink, isOpen: true }
    this.#calls.add(call)
    const handle = this.#current.submit(request, (event) => {
      if (!call.isOpen) return
      if (event.kind === 'finished' || event.kind === 'failed') this.#close(call)
      sink(event)
    })
    return {
      ...(handle.trace === undefined ? {} : { trace: handle.trace }),
      cancel: () => {
        this.#close(call)
        handle.cancel()
      },
      pause: () => handle.pause(),
      resume: () => handle.resume(),
    }
  }

  models(): readonly ModelCard[] {
    return this.#models
  }

  ready(): boolean {
    return this.#current?.ready() ?? false
  }

  async tokenize(model: string, input: ClientInput, addSpecialTokens: boolean): Promise<readonly number[]> {
    return this.#serving().tokenize(model, input, addSpecialTokens)
  }

  async detokenize(model: string, tokenIds: readonly number[]): Promise<string> {
    return this.#serving().detokenize(model, tokenIds)
  }

  #serving(): RouterPort {
    if (this.#current === null) throw new RubatoError('unavailable', JOINING.message, { retryable: true, retryAfterMs: RETRY_AFTER_MS })
    return this.#current
  }

  #close(call: Call): void {
    call.isOpen = false
    this.#calls.delete(call)
  }
}
