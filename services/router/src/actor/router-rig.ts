// Test bench of the router actor: virtual time, an instant shell, and a text model whose token ids are character codes.
import assert from 'node:assert/strict'
import type { Incoming, Outcome } from '@rubato/actor'
import type { GenerateMessage, InstanceMessage, InstanceReport, LoadMessage, TokenRun } from '@rubato/instance'
import { StopMatcher } from '@rubato/model/text'
import { validateSampling } from '@rubato/model/sampling'
import type { ClientEvent, ClientRequest, ClientSampling } from '../client.ts'
import { RouterActor } from './router-actor.ts'
import { ROUTER_TIMING } from './state/messages.ts'
import type { RouterConfig, RouterEffect, RouterMessage, ServedModel, TextStreams, TokenizeEffect } from './state/messages.ts'

export const EOS = 0
/** Two tokens that make one character together, as bytes of a multi-byte one do. */
export const FIRST_HALF = 200
export const SECOND_HALF = 201
export const WHOLE = '€'

export const codes = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0))

const textStreams: TextStreams = {
  detokenizer() {
    let isHalf = false
    return {
      push(tokenIds) {
        let text = ''
        for (let index = 0; index < tokenIds.length; index += 1) {
          const tokenId = tokenIds[index]!
          if (tokenId === FIRST_HALF) isHalf = true
          else if (tokenId === SECOND_HALF && isHalf) {
            text += WHOLE
            isHalf = false
          } else text += String.fromCharCode(tokenId)
        }
        return text
      },
      flush: () => (isHalf ? '\uFFFD' : ''),
    }
  },
  stopMatcher: (stops) => new StopMatcher(stops),
  tokenBytes: (tokenId) => Uint8Array.of(tokenId),
}

export const MODEL: ServedModel = {
  id: 'tiny', fingerprint: 'f1', maxModelLen: 64, vocabSize: 256, eosTokenIds: [EOS], createdS: 1,
  defaults: { temperature: 0.5, topP: null, topK: 7 }, text: textStreams,
}

const NO_TIMING = { queueMs: 3, prefillMs: 4, cachedTokens: 2, preemptions: 0, acceptedDraftTokens: 1, migrations: 0 }

export function finishOf(reason: 'stop' | 'length', stopTokenId: number | null = null): NonNullable<TokenRun['finish']> {
  return { reason, stopTokenId, timing: NO_TIMING }
}

const PLAIN: ClientSampling = {
  maxTokens: null, minTokens: 0, temperature: null, topP: null, topK: null, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
  logitBias: [], seed: null, stopTokenIds: [], ignoreEos: false, logprobs: null,
}

export type RequestOverrides = Partial<Omit<ClientRequest, 'sampling'>> & { readonly sampling?: Partial<ClientSampling> }

export function requestOf(overrides: RequestOverrides = {}): ClientRequest {
  return {
    requestId: 'r1', model: 'tiny', input: { kind: 'text', text: 'hi' }, n: 1, stop: [], slo: { ttftMs: null, tpotMs: null },
    priority: 0, cacheSalt: '', remainingMs: null, echo: false, ...overrides, sampling: { ...PLAIN, ...overrides.sampling },
  }
}

export interface Sent {
  readonly to: string
  readonly payload: InstanceMessage
}

export class Rig {
  readonly actor: RouterActor
  readonly events = new Map<number, ClientEvent[]>()
  readonly sent: Sent[] = []
  readonly tokenizing: TokenizeEffect[] = []
  /** Events per deliver effect. */
  readonly deliveries: number[] = []
  /** Answers `tokenize` at once with the text's character codes. */
  isTokenizingAtOnce = true
  sendOutcome: Outcome = { kind: 'done', value: undefined }
  nowMs = 1000
  readonly #timers = new Map<number, number>()
  readonly #mailbox: Incoming<RouterMessage>[] = []
  #isBusy = false
  #lastClient = 0

  constructor(config: Partial<RouterConfig> = {}, models: readonly ServedModel[] = [MODEL]) {
    this.actor = new RouterActor(
      { config: { maxConcurrentRequests: 100, queueSize: 10, queueTimeoutMs: 1000, migrationLimit: 3, helloTo: [], timing: ROUTER_TIMING, ...config }, models, validateSampling },
      this.nowMs,
    )
    this.#perform(this.actor.start(this.nowMs))
  }

  receive(payload: RouterMessage, from = 'front'): void {
    this.#enqueue({ kind: 'message', from, payload })
  }

  report(payload: InstanceReport): void {
    this.receive(payload, `instance/${payload.instanceId}`)
  }

  submit(overrides: RequestOverrides = {}): number {
    this.#lastClient += 1
    this.receive({ kind: 'submit', clientId: this.#lastClient, request: requestOf(overrides), seedIfNone: 42 })
    return this.#lastClient
  }

  load(instanceId: string, overrides: Partial<LoadMessage> = {}): void {
    this.report({
      kind: 'load', instanceId, incarnation: 1, address: `instance/${instanceId}`, modelFingerprint: 'f1', maxModelLen: 64, draining: false,
      numRunning: 1, numWaiting: 0, pendingPrefillTokens: 0, freeBlocks: 50, cachedBlocks: 0, totalBlocks: 100, preemptionsTotal: 0,
      prefixQueryTokensTotal: 0, prefixHitTokensTotal: 0, lastStepMs: 1, ...overrides,
    })
  }

  /** Tokens of the latest dispatch of the request, unless told otherwise. */
  tokens(requestId: string, run: Partial<TokenRun> & { readonly tokenIds: readonly number[] }, sender: { instanceId?: string; incarnation?: number } = {}): void {
    const last = this.generates(requestId).at(-1)
    assert.ok(last !== undefined || run.epoch !== undefined, `${requestId} was never dispatched`)
    const full = { requestId, epoch: last?.payload.epoch ?? { recovery: 0, hop: 0 }, sequence: 0, firstIndex: 0, logprobs: null, finish: null, ...run }
    const instanceId = sender.instanceId ?? last?.to.replace('instance/', '') ?? 'a'
    this.report({ kind: 'tokens', instanceId, incarnation: sender.incarnation ?? 1, runs: [full] })
  }

  complete(effectId: number, effectKind: string, outcome: Outcome): void {
    this.#enqueue({ kind: 'completion', effectId, effectKind, outcome })
  }

  /** Lets time pass; timers fire in order. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a[1] - b[1])[0]
      if (next === undefined || next[1] > untilMs) break
      this.#timers.delete(next[0])
      this.nowMs = next[1]
      this.complete(next[0], 'timer', { kind: 'done', value: undefined })
    }
    this.nowMs = untilMs
  }

  eventsOf(clientId: number): readonly ClientEvent[] {
    return this.events.get(clientId) ?? []
  }

  kinds(clientId: number): string[] {
    return this.eventsOf(clientId).map(({ kind }) => kind)
  }

  text(clientId: number, choice = 0): string {
    return this.deltas(clientId, choice).map(({ text }) => text).join('')
  }

  deltas(clientId: number, choice = 0): Extract<ClientEvent, { kind: 'delta' }>[] {
    return this.eventsOf(clientId).filter((event) => event.kind === 'delta').filter(({ index }) => index === choice)
  }

  tokenIds(clientId: number, choice = 0): number[] {
    return this.deltas(clientId, choice).flatMap(({ tokenIds }) => [...tokenIds])
  }

  errorOf(clientId: number): Extract<ClientEvent, { kind: 'failed' }>['error'] {
    const last = this.eventsOf(clientId).at(-1)
    assert.ok(last?.kind === 'failed', `client ${clientId} ended with ${last?.kind}`)
    return last.error
  }

  generates(requestId: string): { readonly to: string; readonly payload: GenerateMessage }[] {
    return this.sent.flatMap(({ to, payload }) => (payload.kind === 'generate' && payload.requestId === requestId ? [{ to, payload }] : []))
  }

  sentOf<K extends InstanceMessage['kind']>(kind: K): Extract<InstanceMessage, { readonly kind: K }>[] {
    return this.sent.map(({ payload }) => payload).filter((payload): payload is Extract<InstanceMessage, { readonly kind: K }> => payload.kind === kind)
  }

  assertEmpty(): void {
    for (const [name, size] of Object.entries(this.actor.sizes())) assert.equal(size, 0, `${name} holds ${size}`)
  }

  get numTimers(): number {
    return this.#timers.size
  }

  /** As a host does: what arrives while the actor's effects are performed waits its turn. */
  #enqueue(incoming: Incoming<RouterMessage>): void {
    this.#mailbox.push(incoming)
    if (this.#isBusy) return
    this.#isBusy = true
    for (let next = this.#mailbox.shift(); next !== undefined; next = this.#mailbox.shift()) this.#perform(this.actor.receive(next, this.nowMs))
    this.#isBusy = false
  }

  #perform(effects: readonly RouterEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'deliver':
          this.deliveries.push(effect.events.length)
          for (const { clientId, event } of effect.events) {
            const known = this.events.get(clientId)
            if (known === undefined) this.events.set(clientId, [event])
            else known.push(event)
          }
          break
        case 'send':
          this.sent.push({ to: effect.to, payload: effect.payload })
          this.complete(effect.id, 'send', this.sendOutcome)
          break
        case 'timer':
          this.#timers.set(effect.id, this.nowMs + effect.delayMs)
          break
        case 'cancel':
          if (this.#timers.delete(effect.target)) this.complete(effect.target, 'timer', { kind: 'cancelled' })
          break
        case 'tokenize':
          this.tokenizing.push(effect)
          if (this.isTokenizingAtOnce) this.complete(effect.id, 'tokenize', { kind: 'done', value: effect.input.kind === 'text' ? codes(effect.input.text) : codes('chat') })
          break
      }
    }
  }
}

