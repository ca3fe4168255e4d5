// A RouterPort for tests: records what the doors ask and answers as the test says.
import { EventEmitter, once } from 'node:events'
import { RubatoError } from '@rubato/config'
import type { ClientError, ClientEvent, ClientFinish, ClientHandle, ClientInput, ClientRequest, ClientSink, ModelCard, RequestTiming, RouterPort, TextLogprobs } from '../client.ts'

export interface DeltaParts {
  readonly index?: number
  readonly tokenIds?: readonly number[]
  readonly logprobs?: readonly TextLogprobs[]
  readonly finish?: ClientFinish
  readonly stopReason?: string | number
}

const TIMING: RequestTiming = { queueMs: 1, prefillMs: 2, ttftMs: 3, tpotMs: 4.5, acceptedDraftTokens: 6, migrations: 1, recoveries: 0 }

/** One submitted request. Emits 'cancel', 'pause' and 'resume'; events after cancel() are still sent, as a race would. */
export class ScriptedCall extends EventEmitter {
  readonly request: ClientRequest
  readonly handle: ClientHandle
  isCancelled = false
  isPaused = false
  numPauses = 0
  #completionTokens = 0
  readonly #sink: ClientSink

  constructor(request: ClientRequest, sink: ClientSink) {
    super()
    this.request = request
    this.#sink = sink
    this.handle = {
      cancel: () => {
        this.isCancelled = true
        this.emit('cancel')
      },
      pause: () => {
        this.isPaused = true
        this.numPauses++
        this.emit('pause')
      },
      resume: () => {
        this.isPaused = false
        this.emit('resume')
      },
    }
  }

  send(event: ClientEvent): void {
    this.#sink(event)
  }

  accept(promptTokens = 5): this {
    this.send({ kind: 'accepted', promptTokens })
    return this
  }

  delta(text: string, parts: DeltaParts = {}): this {
    const { index = 0, tokenIds = [text.length], logprobs = null, finish = null, stopReason = null } = parts
    this.#completionTokens += tokenIds.length
    this.send({ kind: 'delta', index, text, tokenIds, logprobs, finish, stopReason })
    return this
  }

  finish(cachedTokens = 2): this {
    this.send({ kind: 'finished', usage: { promptTokens: 5, cachedTokens, completionTokens: this.#completionTokens }, timing: TIMING, systemFingerprint: 'fp-test' })
    return this
  }

  fail(error: Partial<ClientError>): this {
    this.send({ kind: 'failed', error: { code: 'internal', message: 'it broke', field: null, retryAfterMs: null, reason: 'test', ...error } })
    return this
  }

  /** Resolves once the handle's owner cancelled. */
  async cancelled(): Promise<void> {
    if (!this.isCancelled) await once(this, 'cancel')
  }

  async paused(): Promise<void> {
    if (!this.isPaused) await once(this, 'pause')
  }

  async resumed(): Promise<void> {
    if (this.isPaused) await once(this, 'resume')
  }
}

export type Script = (call: ScriptedCall) => void

/** Answers every choice with "Hello", " wörld" and "!", ids 1, 2, 3, each in a tick of its own. */
export function helloScript(call: ScriptedCall): void {
  const words = ['Hello', ' wörld', '!']
  call.accept()
  let step = 0
  const next = (): void => {
    const word = words[step]
    if (call.isCancelled) return
    if (word === undefined) {
      call.finish()
      return
    }
    step++
    for (let index = 0; index < call.request.n; index++) {
      call.delta(word, { index, tokenIds: [step], ...(step === words.length ? { finish: 'stop' as const } : {}) })
    }
    setImmediate(next)
  }
  setImmediate(next)
}

export class ScriptedRouter extends EventEmitter implements RouterPort {
  cards: ModelCard[] = [{ id: 'tiny/chat', maxModelLen: 2048, createdS: 1_700_000_000 }]
  isReady = true
  /** Runs inside submit, before it returns. */
  script: Script
  readonly calls: ScriptedCall[] = []

  constructor(script: Script = helloScript) {
    super()
    this.script = script
  }

  submit(request: ClientRequest, sink: ClientSink): ClientHandle {
    const call = new ScriptedCall(request, sink)
    this.calls.push(call)
    this.script(call)
    this.emit('call', call)
    return call.handle
  }

  /** The call with this number, 0 first, as soon as it was submitted. */
  async call(position = 0): Promise<ScriptedCall> {
    for (;;) {
      const known = this.calls[position]
      if (known !== undefined) return known
      await once(this, 'call')
    }
  }

  models(): readonly ModelCard[] {
    return this.cards
  }

  ready(): boolean {
    return this.isReady
  }

  tokenize(model: string, input: ClientInput, addSpecialTokens: boolean): Promise<readonly number[]> {
    if (!this.cards.some((card) => card.id === model)) return Promise.reject(new RubatoError('not_found', `The model '${model}' does not exist.`, { field: 'model' }))
    const text = input.kind === 'chat' ? input.messages.map((message) => message.content).join('') : input.kind === 'text' ? input.text : ''
    return Promise.resolve([...(addSpecialTokens ? [1] : []), ...Buffer.from(text)])
  }

  detokenize(_model: string, tokenIds: readonly number[]): Promise<string> {
    return Promise.resolve(Buffer.from(tokenIds).toString())
  }
}

export const silentLog = { info: () => {}, warn: () => {}, error: () => {} }
