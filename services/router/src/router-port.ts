// What ties front doors to the router actor: the RouterPort they call, and the ports that perform the actor's `deliver`
// and `tokenize` effects in a live process.
//
// 1. A sink hears nothing before submit() returned, and nothing after its last event or its own cancel().
// 2. A sink that throws is cut off and its request cancelled; nobody else notices.
// 3. The seed of a request that brings none follows from its id: any router that computes it anew gets the same tokens.
import { createHash } from 'node:crypto'
import { DONE } from '@rubato/actor'
import type { EffectPort, EffectRun } from '@rubato/actor'
import { InvalidArgument, RubatoError } from '@rubato/config'
import { StopMatcher } from '@rubato/model/text'
import type { TextModel, TextPool } from '@rubato/model/text'
import { asyncPort } from '@rubato/runtime'
import type { TraceSource } from '@rubato/telemetry'
import type { ClientDelivery, ClientId, DeliverEffect, FrontDoorMessage, RequestTrace, ServedModel, TextStreams, TokenizeEffect } from './actor/state/messages.ts'
import type { ClientHandle, ClientInput, ClientRequest, ClientSink, RouterPort } from './client.ts'

/** The text work of one model that may take long. */
export type PromptText = Pick<TextPool, 'encode' | 'renderAndEncode' | 'decode'>

export interface RouterPortOptions {
  /** Hands a message to the actor's host. */
  readonly post: (message: FrontDoorMessage) => void
  readonly canServe: () => boolean
  readonly models: readonly ServedModel[]
  readonly textOf: (modelId: string) => PromptText
  /** Prompts that may be tokenised at a time. @default 1024 */
  readonly tokenizeLimit?: number
  /** Seeds of requests that bring none; safe integers >= 0. Sampled requests with such a seed cannot be resumed once no instance holds them. @default by request id */
  readonly drawSeed?: () => number
  /** Decides what is traced. @default nothing */
  readonly traceSource?: TraceSource | null
  /** A sink threw: a bug in a front door. */
  readonly onSinkError: (error: unknown) => void
}

export interface RouterPortParts {
  readonly port: RouterPort
  /** For the effect table of the router's host. */
  readonly effects: { readonly deliver: EffectPort; readonly tokenize: EffectPort }
}

const SEED_BYTES = 6

export function createRouterPort(options: RouterPortOptions): RouterPortParts {
  const clients = new ClientTable(options)
  const tokenize = (modelId: string, input: ClientInput, addSpecialTokens: boolean, signal?: AbortSignal): Promise<readonly number[]> =>
    tokenizeInput(options.textOf(modelNamed(options.models, modelId).id), input, addSpecialTokens, signal)
  return {
    port: {
      submit: (request, sink) => clients.submit(request, sink),
      models: () => options.models.map(({ id, maxModelLen, createdS }) => ({ id, maxModelLen, createdS })),
      ready: options.canServe,
      tokenize: async (modelId, input, addSpecialTokens) => tokenize(modelId, input, addSpecialTokens),
      detokenize: async (modelId, tokenIds) => detokenize(options, modelId, tokenIds),
    },
    effects: {
      deliver: { limit: 65_536, perform: (effect, run) => clients.deliver((effect as DeliverEffect).events, run) },
      tokenize: asyncPort<TokenizeEffect>({
        limit: options.tokenizeLimit ?? 1024,
        perform: ({ model, input, addSpecialTokens }, signal) => tokenize(model, input, addSpecialTokens, signal),
      }),
    },
  }
}

/** A model's incremental text machinery, as the router actor uses it. */
export function textStreamsOf(model: TextModel): TextStreams {
  return {
    detokenizer: (precedingTokens) => model.detokenizer({ precedingTokens }),
    stopMatcher: (stops) => new StopMatcher(stops),
    tokenBytes: (tokenId) => model.tokens.bytesOf(tokenId),
  }
}

class ClientTable {
  readonly #options: RouterPortOptions
  readonly #sinks = new Map<ClientId, ClientSink>()
  #lastId = 0

  constructor(options: RouterPortOptions) {
    this.#options = options
  }

  submit(request: ClientRequest, sink: ClientSink): ClientHandle {
    this.#lastId += 1
    const clientId = this.#lastId
    this.#sinks.set(clientId, sink)
    const { drawSeed, traceSource } = this.#options
    const seedIfNone = request.sampling.seed ?? drawSeed?.() ?? seedOf(request.requestId)
    const trace = traceOf(request, traceSource ?? null)
    this.#post({ kind: 'submit', clientId, request, seedIfNone, isSeedDrawn: drawSeed !== undefined, ...(trace === null ? {} : { trace }) })
    const signal = (kind: 'cancel' | 'pause' | 'resume'): void => {
      if (!this.#sinks.has(clientId)) return
      if (kind === 'cancel') this.#sinks.delete(clientId)
      this.#post({ kind, clientId })
    }
    return { ...(trace === null ? {} : { trace }), cancel: () => signal('cancel'), pause: () => signal('pause'), resume: () => signal('resume') }
  }

  deliver(events: readonly ClientDelivery[], run: EffectRun): void {
    for (const { clientId, event } of events) {
      const sink = this.#sinks.get(clientId)
      if (sink === undefined) continue
      if (event.kind === 'finished' || event.kind === 'failed') this.#sinks.delete(clientId)
      try {
        sink(event)
      } catch (error) {
        if (this.#sinks.delete(clientId)) this.#post({ kind: 'cancel', clientId })
        this.#options.onSinkError(error)
      }
    }
    run.complete(DONE)
  }

  /** In a microtask, in order: the actor may answer at once, and its caller is to hear that only after this call. */
  #post(message: FrontDoorMessage): void {
    queueMicrotask(() => this.#options.post(message))
  }
}

/** Generated ids are random, and so are their seeds. */
function seedOf(requestId: string): number {
  return createHash('sha256').update(requestId).digest().readUIntBE(0, SEED_BYTES)
}

/** The request's own span: below its client's, or the first of a new trace. */
function traceOf({ trace: parent }: ClientRequest, source: TraceSource | null): RequestTrace | null {
  if (source === null || !source.shouldTrace(parent?.sampled ?? null)) return null
  return { traceId: parent?.traceId ?? source.newTraceId(), spanId: source.newSpanId(), parentSpanId: parent?.spanId ?? null }
}

function modelNamed(models: readonly ServedModel[], name: string): ServedModel {
  const model = name === '' ? models[0] : models.find(({ id }) => id === name)
  if (model === undefined) throw new RubatoError('not_found', `the model \`${name}\` does not exist`, { field: 'model' })
  return model
}

async function tokenizeInput(text: PromptText, input: ClientInput, addSpecialTokens: boolean, signal?: AbortSignal): Promise<readonly number[]> {
  switch (input.kind) {
    case 'tokens':
      return input.tokenIds
    case 'text':
      return text.encode(input.text, { addSpecialTokens, ...(signal === undefined ? {} : { signal }) })
    case 'chat':
      return text.renderAndEncode(input.messages, {}, signal)
  }
}

/** Special tokens stay in the text, as in vLLM: detokenize undoes tokenize. */
async function detokenize(options: RouterPortOptions, modelId: string, tokenIds: readonly number[]): Promise<string> {
  const model = modelNamed(options.models, modelId)
  const outside = tokenIds.find((tokenId) => !Number.isInteger(tokenId) || tokenId < 0 || tokenId >= model.vocabSize)
  if (outside !== undefined) throw new InvalidArgument('tokens', `token id ${outside} is outside the vocabulary (0 to ${model.vocabSize - 1})`)
  return options.textOf(model.id).decode(tokenIds, false)
}
