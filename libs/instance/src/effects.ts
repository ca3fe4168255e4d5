// What the instance actor asks of its shell, and the list it collects while it handles one message.
import type { Address, CancelEffect, Effect, EffectId, SendEffect, SpanEffect, SpanRecord, TimerEffect, TraceContext } from '@rubato/actor'
import type { DraftAsk, DraftNews, EngineCommand } from '@rubato/model'
import type { AbortMessage, Epoch, InstanceReport, ResendMessage } from './messages.ts'
import type { PeerMessage } from './peer-messages.ts'

/** Runs one engine command; completes with `done` and an EngineResult. At most one step is in flight. */
export interface EngineEffect extends Effect {
  readonly kind: 'engine'
  readonly command: EngineCommand
}

/**
 * Lets the holder of the token pull the contents of these blocks, once, until the effect ends. Completes with `done` when all was
 * sent, `failed` when the pull broke off or nobody came in time. The actor keeps the blocks unchanged until then; a cancel
 * withdraws the token at once.
 */
export interface KvServeEffect extends Effect {
  readonly kind: 'kv-serve'
  readonly token: string
  readonly requestId: string
  readonly epoch: Epoch
  readonly blockIds: readonly number[]
  /** Of the request, for logs; absent: not traced. */
  readonly trace?: TraceContext
}

/** Pulls the blocks that a peer serves under the token, into staging. Completes with `done` and a KvPulled once every byte is checked. */
export interface KvPullEffect extends Effect {
  readonly kind: 'kv-pull'
  /** `host:port` of the peer. */
  readonly kvAddress: string
  readonly token: string
  readonly requestId: string
  readonly epoch: Epoch
  readonly numBlocks: number
  /** Of the request, for logs; absent: not traced. */
  readonly trace?: TraceContext
}

export interface KvPulled {
  /** As the engine's export-blocks gives it. */
  readonly bytes: Uint8Array
  readonly transferMs: number
  /** The link's current estimate, over recent pulls from the same peer. */
  readonly bytesPerSec: number
}

/** Asks a speculator for trees. Completes with `done` and a DraftAnswer, or fails as DraftLinks.ask does; a cancel gives the ask up. */
export interface DraftEffect extends Effect {
  readonly kind: 'draft'
  /** Where membership says that it listens. */
  readonly endpoint: string
  readonly ask: DraftAsk
}

/** Tells a speculator what it need not answer. Completes with `done` at once, whether it arrives or not. */
export interface DraftNewsEffect extends Effect {
  readonly kind: 'draft-news'
  readonly endpoint: string
  readonly news: DraftNews
}

/** What an instance sends: to routers, and to the peer that it hands a request to or takes one from. */
export type InstancePayload = InstanceReport | PeerMessage | AbortMessage | ResendMessage

export type InstanceEffect = SendEffect<InstancePayload> | TimerEffect | CancelEffect | EngineEffect | KvServeEffect | KvPullEffect | DraftEffect | DraftNewsEffect | SpanEffect

/** Effects of the transition in progress, in order. */
export class EffectList {
  #lastId = 0
  #effects: InstanceEffect[] = []

  send(to: Address, payload: InstancePayload): void {
    this.#effects.push({ kind: 'send', id: ++this.#lastId, to, payload })
  }

  timer(delayMs: number): EffectId {
    this.#effects.push({ kind: 'timer', id: ++this.#lastId, delayMs })
    return this.#lastId
  }

  cancel(target: EffectId): void {
    this.#effects.push({ kind: 'cancel', id: ++this.#lastId, target })
  }

  engine(command: EngineCommand): EffectId {
    this.#effects.push({ kind: 'engine', id: ++this.#lastId, command })
    return this.#lastId
  }

  kvServe(serve: Omit<KvServeEffect, 'kind' | 'id'>): EffectId {
    this.#effects.push({ kind: 'kv-serve', id: ++this.#lastId, ...serve })
    return this.#lastId
  }

  kvPull(pull: Omit<KvPullEffect, 'kind' | 'id'>): EffectId {
    this.#effects.push({ kind: 'kv-pull', id: ++this.#lastId, ...pull })
    return this.#lastId
  }

  draft(endpoint: string, ask: DraftAsk): EffectId {
    this.#effects.push({ kind: 'draft', id: ++this.#lastId, endpoint, ask })
    return this.#lastId
  }

  draftNews(endpoint: string, news: DraftNews): void {
    this.#effects.push({ kind: 'draft-news', id: ++this.#lastId, endpoint, news })
  }

  span(span: SpanRecord): void {
    this.#effects.push({ kind: 'span', id: ++this.#lastId, span })
  }

  /** The effects so far; the list starts anew. */
  take(): readonly InstanceEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}
