// The router: a pure actor that takes requests from front doors, has instances serve them, and relays their tokens.
//
//   tokenizing ──> queued ──> dispatched ──> streaming ──> ended (finished | failed | cancelled)
//        intake.ts     placement/      relay.ts       endings.ts        every wait: timers.ts
//            └── locating ──> attached where it is (resume/)
//
// 1. Exactly once: every token index of every choice reaches its client once, in order, whatever instances repeat, lose or
//    reorder, and through any number of them.
// 2. Nothing leaks: when a request ends every structure forgets it, at once unless a paused client has events to collect.
// 3. An accepted request is never dropped for load.
import type { Actor, Address, Completion, Incoming } from '@rubato/actor'
import { cancel, pause, resume } from './endings.ts'
import { admitWaiting } from './admission.ts'
import { onTokenized, submit } from './intake.ts'
import { letBegin, onGone, onLoad, onMemberLost } from './placement/losses.ts'
import { placeWaiting } from './placement/placement.ts'
import { onRefused, onSendFailed } from './placement/refusals.ts'
import { relayTokens } from './relay.ts'
import { askNewcomer, onLocated } from './resume/locate.ts'
import type { InstanceView } from './state/instances.ts'
import { instanceOf } from './state/request.ts'
import { RouterState } from './state/router-state.ts'
import type { ClientSignalMessage, RouterEffect, RouterMessage, RouterParts } from './state/messages.ts'
import type { RouterSnapshot } from './state/stats.ts'
import { acknowledge, armTimers, onWake } from './timers.ts'

export class RouterActor implements Actor<RouterMessage, RouterEffect> {
  readonly #state: RouterState

  /** nowMs: the time at which it starts, of the same clock as every later nowMs. */
  constructor(parts: RouterParts, nowMs = 0) {
    this.#state = new RouterState(parts, nowMs)
  }

  start(_nowMs: number): readonly RouterEffect[] {
    for (const address of this.#state.parts.config.helloTo) this.#welcome(address)
    return this.#state.outbox.take()
  }

  receive(incoming: Incoming<RouterMessage>, nowMs: number): readonly RouterEffect[] {
    const state = this.#state
    if (incoming.kind === 'completion' && incoming.effectKind === 'timer' && incoming.outcome.kind !== 'done') return this.#timerLost(incoming)
    if (incoming.kind === 'completion') this.#complete(incoming, nowMs)
    else this.#handle(incoming.payload, incoming.from, nowMs)
    if (state.line.size > 0) admitWaiting(state, nowMs)
    if (state.placementDue) placeWaiting(state, nowMs)
    armTimers(state, nowMs)
    return state.outbox.take()
  }

  /** What /metrics shows. Copies; O(requests). */
  snapshot(): RouterSnapshot {
    return this.#state.snapshot()
  }

  /** True when the router takes requests and some instance can serve them. */
  canServe(): boolean {
    const { draining, instances, parts } = this.#state
    return !draining && parts.models.some((model) => instances.serving(model.fingerprint).length > 0)
  }

  /** Id of the instance that serves the request; null: it is not live here, or on no instance now. */
  ownerOf(requestId: string): string | null {
    const request = this.#state.byId.get(requestId)
    return request === undefined ? null : (instanceOf(request)?.id ?? null)
  }

  /** The instances that it knows, whatever they serve. Copies; O(instances). */
  instances(): readonly InstanceView[] {
    return this.#state.instances.views()
  }

  /** Sizes of every structure that grows with requests: all zero when none lives. */
  sizes(): Readonly<Record<string, number>> {
    const { byClient, byId, byEffect, line, unplaced, deadlines, finalAcks, numEntering, numAdmitted, instances } = this.#state
    let onInstances = 0
    for (const instance of instances.values()) onInstances += instance.requests.size + instance.partnered.size + (instance.onTrial === null ? 0 : 1)
    return {
      byClient: byClient.size, byId: byId.size, byEffect: byEffect.size, line: line.size, unplaced: unplaced.size,
      deadlines: deadlines.size, finalAcks: finalAcks.size, numEntering, numAdmitted, onInstances,
    }
  }

  #handle(message: RouterMessage, from: string, nowMs: number): void {
    const state = this.#state
    switch (message.kind) {
      case 'submit':
        return submit(state, message, nowMs)
      case 'cancel':
      case 'pause':
      case 'resume':
        return this.#signal(message, nowMs)
      case 'drain':
        state.draining = true
        return
      case 'tokens':
        return relayTokens(state, message, from, nowMs)
      case 'load': {
        const newcomer = onLoad(state, message, from, nowMs)
        if (newcomer !== null) askNewcomer(state, newcomer)
        return
      }
      case 'may-begin':
        return letBegin(state, message, from, nowMs)
      case 'refused':
        return onRefused(state, message, nowMs)
      case 'gone':
        return onGone(state, message, nowMs)
      case 'located':
        return onLocated(state, message, from, nowMs)
      case 'member-joined':
        return this.#welcome(message.address)
      case 'member-lost':
        return onMemberLost(state, message.address, nowMs)
    }
  }

  #welcome(address: Address): void {
    this.#state.instances.join(address)
    this.#state.outbox.send(address, { kind: 'hello' })
  }

  #signal(message: ClientSignalMessage, nowMs: number): void {
    const request = this.#state.byClient.get(message.clientId)
    if (request === undefined) return
    switch (message.kind) {
      case 'cancel':
        return cancel(this.#state, request, nowMs)
      case 'pause':
        return pause(this.#state, request, nowMs)
      case 'resume':
        return resume(this.#state, request, nowMs)
    }
  }

  /** Cancelled or refused by the shell: the next message arms another. Arming one now could go on for ever. */
  #timerLost({ effectId }: Completion): readonly RouterEffect[] {
    const state = this.#state
    if (effectId === state.ackTimer) state.ackTimer = null
    if (effectId === state.wakeTimer?.id) state.wakeTimer = null
    return []
  }

  #complete({ effectId, effectKind, outcome }: Completion, nowMs: number): void {
    const state = this.#state
    if (effectKind === 'timer') {
      if (effectId === state.ackTimer) {
        state.ackTimer = null
        acknowledge(state)
      } else if (effectId === state.wakeTimer?.id) {
        state.wakeTimer = null
        onWake(state, nowMs)
      }
      return
    }
    const request = state.byEffect.get(effectId)
    if (request === undefined) return
    state.byEffect.delete(effectId)
    if (effectKind === 'tokenize') onTokenized(state, request, outcome, nowMs)
    else if (outcome.kind !== 'done') onSendFailed(state, request, nowMs)
  }
}
