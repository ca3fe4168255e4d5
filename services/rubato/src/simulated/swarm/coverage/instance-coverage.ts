// The transitions of one incarnation of an instance: hand-offs and migrations on both sides, batches, membership, speculation.
import type { Address, Effect } from '@rubato/actor'
import type { EngineEffect, KvPullEffect, KvServeEffect } from '@rubato/instance'
import type { EngineResult, StepCommand } from '@rubato/model'
import { isSend, messageOf } from '../check/transition.ts'
import type { AnyMessage, Transition } from '../check/transition.ts'
import type { Visit } from './coverage.ts'

/** A request that another instance gives or takes. */
interface Shipment {
  readonly peer: Address
  readonly name: 'hand-off' | 'migration'
  isHanded: boolean
}

export class InstanceCoverage {
  readonly #visit: Visit
  readonly #out = new Map<string, Shipment>()
  readonly #in = new Map<string, Shipment>()
  /** Requests whose KV is served or pulled, by effect. */
  readonly #transfers = new Map<number, string>()
  readonly #routers = new Set<Address>()
  /** Handles that verify a tree in the step that runs. */
  #verifying = new Map<number, number>()
  #hits = 0
  #preemptions = 0
  #isDraining = false

  constructor(visit: Visit) {
    this.#visit = visit
  }

  see(transition: Transition): void {
    const { incoming, effects } = transition
    const message = messageOf(transition)
    if (message !== null && incoming?.kind === 'message') this.#hear(message, incoming.from)
    if (incoming?.kind === 'completion') this.#complete(incoming.effectKind, incoming.effectId, incoming.outcome)
    for (const effect of effects) this.#want(effect)
  }

  #hear(message: AnyMessage, from: Address): void {
    const { kind } = message
    if (kind === 'reserve') this.#in.set(message.request.requestId, { peer: from, name: message.isLive === true ? 'migration' : 'hand-off', isHanded: false })
    else if (kind === 'reserved' || kind === 'declined' || kind === 'not-pulled' || kind === 'taken') this.#answered(kind, message.requestId)
    else if (kind === 'hand-off') this.#visit(`${this.#in.get(message.requestId)?.name ?? 'hand-off'} destination: handed`)
    else if (kind === 'abort') {
      const shipment = this.#in.get(message.requestId)
      if (shipment !== undefined) this.#visit(`${shipment.name} destination: aborted`)
      this.#in.delete(message.requestId)
    } else if (kind === 'member-gone') this.#gone(message.address)
    else if (kind === 'generate') this.#routers.add(from)
    else if (kind === 'set-role') this.#visit('instance: role changed')
    else if (kind === 'drain' || kind === 'undrain') {
      this.#isDraining = kind === 'drain'
      this.#visit(this.#isDraining ? 'instance: draining' : 'instance: serving again')
    }
  }

  #answered(kind: 'reserved' | 'declined' | 'not-pulled' | 'taken', requestId: string): void {
    const shipment = this.#out.get(requestId)
    if (shipment === undefined) return
    if (kind === 'declined' && shipment.isHanded && shipment.name === 'hand-off') this.#visit('hand-off source: declined once handed')
    this.#visit(`${shipment.name} source: ${kind === 'not-pulled' ? 'not pulled' : kind}`)
    if (kind === 'declined' || kind === 'taken') this.#out.delete(requestId)
  }

  #gone(address: Address): void {
    for (const [requestId, { peer, name }] of this.#out) if (peer === address && this.#out.delete(requestId)) this.#visit(`${name} source: destination gone`)
    for (const [requestId, { peer, name }] of this.#in) if (peer === address && this.#in.delete(requestId)) this.#visit(`${name} destination: source gone`)
    if (address.startsWith('router/')) this.#visit('lease: router lost')
    if (this.#routers.has(address)) this.#visit('instance: orphaned')
  }

  #complete(effectKind: string, effectId: number, outcome: { readonly kind: string; readonly value?: unknown }): void {
    const requestId = this.#transfers.get(effectId)
    this.#transfers.delete(effectId)
    if (effectKind === 'kv-pull' && requestId !== undefined) {
      const name = this.#in.get(requestId)?.name
      if (name !== undefined && outcome.kind !== 'cancelled') this.#visit(`${name} destination: ${outcome.kind === 'done' ? 'pulled' : 'pull failed'}`)
    } else if (effectKind === 'kv-serve' && requestId !== undefined) {
      const name = this.#out.get(requestId)?.name
      if (name !== undefined && outcome.kind === 'failed') this.#visit(`${name} source: serve failed`)
    } else if (effectKind === 'engine' && outcome.kind === 'done') this.#verified(outcome.value as EngineResult)
  }

  #verified(result: EngineResult): void {
    if (result.kind !== 'step') return
    for (const { handle, tokenIds } of result.tokens) {
      const depth = this.#verifying.get(handle)
      if (depth === undefined) continue
      if (tokenIds.length > 1) this.#visit('speculation: draft accepted')
      if (tokenIds.length <= depth) this.#visit('speculation: draft rejected')
    }
  }

  #want(effect: Effect): void {
    if (effect.kind === 'engine') {
      const { command } = effect as EngineEffect
      if (command.kind === 'step') this.#step(command)
    } else if (effect.kind === 'kv-pull') this.#transfers.set(effect.id, (effect as KvPullEffect).requestId)
    else if (effect.kind === 'kv-serve') this.#transfers.set(effect.id, (effect as KvServeEffect).requestId)
    else if (isSend(effect)) this.#say(effect.payload, effect.to)
  }

  #step({ decodes }: StepCommand): void {
    this.#verifying = new Map(decodes.flatMap(({ handle, tree }) => (tree === null ? [] : [[handle, tree.tokenIds.length]])))
    if (this.#verifying.size > 0) this.#visit('speculation: tree verified')
    else if (decodes.length > 0) this.#visit('speculation: none')
  }

  #say(message: AnyMessage, to: Address): void {
    const { kind } = message
    if (kind === 'reserve') {
      const { requestId } = message.request
      const name = message.isLive === true ? 'migration' : 'hand-off'
      if (!this.#out.has(requestId)) this.#visit(`${name} source: reserving`)
      this.#out.set(requestId, { peer: to, name, isHanded: false })
    } else if (kind === 'offer') this.#visit(`${this.#out.get(message.requestId)?.name ?? 'hand-off'} source: offered`)
    else if (kind === 'hand-off') {
      const shipment = this.#out.get(message.requestId)
      if (shipment === undefined || shipment.isHanded) return
      shipment.isHanded = true
      this.#visit(`${shipment.name} source: handed`)
    } else if (kind === 'reserved' || kind === 'declined' || kind === 'taken') {
      this.#visit(`${this.#in.get(message.requestId)?.name ?? 'hand-off'} destination: ${kind}`)
      if (kind === 'declined') this.#in.delete(message.requestId)
    } else if (kind === 'load') this.#load(message)
    else if (kind === 'gone') this.#visit('instance: engine died')
  }

  #load({ preemptionsTotal, prefixHitTokensTotal, numRunning, numWaiting }: Extract<AnyMessage, { kind: 'load' }>): void {
    if (preemptionsTotal > this.#preemptions) this.#visit('instance: preempted')
    if (prefixHitTokensTotal > this.#hits) this.#visit('instance: prefix hit')
    if (this.#isDraining && numRunning + numWaiting === 0) this.#visit('instance: drained')
    this.#preemptions = preemptionsTotal
    this.#hits = prefixHitTokensTotal
  }
}
