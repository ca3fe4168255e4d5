// The transitions of requests, as routers make them.
import type { Effect } from '@rubato/actor'
import type { GenerateMessage } from '@rubato/instance'
import type { DeliverEffect } from '@rubato/service-router'
import { isSend, messageOf } from '../check/transition.ts'
import type { AnyMessage, Transition } from '../check/transition.ts'
import type { Visit } from './coverage.ts'

export class RouterCoverage {
  readonly #visit: Visit
  /** Clients that were given a token. */
  readonly #served = new Set<number>()
  /** Requests that clients came back for. */
  readonly #resumed = new Set<string>()

  constructor(visit: Visit) {
    this.#visit = visit
  }

  see(transition: Transition): void {
    const message = messageOf(transition)
    if (message !== null) this.#hear(message, transition)
    for (const effect of transition.effects) this.#want(effect)
  }

  #hear(message: AnyMessage, { effects }: Transition): void {
    const { kind } = message
    const recovers = effects.some((effect) => isSend(effect) && effect.payload.kind === 'generate' && effect.payload.recovered)
    if (kind === 'submit' && message.request.resumeFrom !== null) this.#resumed.add(message.request.requestId)
    else if (kind === 'cancel') this.#visit('request: cancelled')
    else if (kind === 'gone' && recovers) this.#visit('recovery: instance gone')
    else if (kind === 'member-lost' && recovers) this.#visit('recovery: instance lease lost')
    else if (kind === 'may-begin') this.#visit('suspect: asks to begin')
    else if (kind === 'located') this.#visit('resume: found')
    else if (kind === 'refused' && message.reason === 'draining') this.#visit('request: refused while draining')
    else if (kind === 'refused' && message.reason === 'superseded') this.#visit('request: refused as superseded')
    else if (kind === 'tokens') {
      const told = new Set(effects.flatMap((effect) => (isSend(effect) && effect.payload.kind === 'abort' ? [effect.payload.requestId] : [])))
      if (message.runs.some(({ requestId, finish }) => finish === null && told.has(requestId))) this.#visit('recovery: speaker told to stop')
    }
  }

  #want(effect: Effect): void {
    if (effect.kind === 'deliver') return this.#deliver(effect as DeliverEffect)
    if (!isSend(effect)) return
    const { payload } = effect
    if (payload.kind === 'generate') this.#dispatch(payload)
    else if (payload.kind === 'resend') this.#visit('request: gap asked for again')
    else if (payload.kind === 'locate') this.#visit('resume: located asked')
    else if (payload.kind === 'attach') this.#visit('resume: attached')
    else if (payload.kind === 'begin') this.#visit('suspect: let begin')
  }

  #dispatch({ requestId, handOffTo, recovered, guarded, emittedIds }: GenerateMessage): void {
    this.#visit(handOffTo === null ? 'request: dispatched alone' : 'request: dispatched to a pair')
    if (recovered) this.#visit('recovery: dispatched again')
    if (emittedIds.some(({ length }) => length > 0)) this.#visit('recovery: with tokens')
    if (guarded === true) this.#visit('suspect: dispatched guarded')
    if (this.#resumed.has(requestId) && !recovered) this.#visit('resume: computed anew')
  }

  #deliver({ events }: DeliverEffect): void {
    for (const { clientId, event } of events) {
      if (event.kind === 'finished') this.#visit('request: finished')
      else if (event.kind === 'failed' && event.error.code === 'deadline_exceeded') this.#visit('request: deadline passed')
      else if (event.kind === 'delta' && !this.#served.has(clientId)) {
        this.#served.add(clientId)
        this.#visit('request: first token')
      }
    }
  }
}
