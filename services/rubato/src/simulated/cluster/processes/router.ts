// One life of a router's process: its actor under a kept name, told of members that come and go, as RouterMember and
// RouterService tie them together in a live one.
import type { Address, EffectTable } from '@rubato/actor'
import { DONE, done } from '@rubato/actor'
import { PROTOCOL_VERSION } from '@rubato/bus'
import type { MemberEvent } from '@rubato/bus'
import { RouterActor } from '@rubato/service-router/actor'
import type { ClientDelivery, DeliverEffect, FrontDoorMessage, RouterMessage, RouterParts, TokenizeEffect } from '@rubato/service-router'
import { SimKeptName } from '@rubato/sim'
import type { Surroundings } from '../surroundings.ts'
import { Life } from './life.ts'

export interface RouterEvents {
  readonly onDeliveries: (deliveries: readonly ClientDelivery[]) => void
  /** It lost its place in the cluster: what its clients had under way goes on elsewhere. */
  readonly onFenced: (router: RouterProcess) => void
}

/** Where an actor's own process speaks to it from. */
const SELF: Address = 'front-door'
const EFFECT_LIMIT = 65_536

export class RouterProcess {
  readonly life: Life
  readonly name: string
  readonly #surroundings: Surroundings
  readonly #parts: RouterParts
  readonly #effects: EffectTable
  #actor: RouterActor | null = null
  #address: Address | null = null

  constructor(surroundings: Surroundings, name: string, parts: RouterParts, events: RouterEvents) {
    const { nextNonce } = surroundings
    this.#surroundings = surroundings
    this.#parts = parts
    this.name = name
    this.life = new Life(surroundings, name)
    this.#effects = clientEffects(events.onDeliveries)
    const { directory, link, membership, process } = this.life
    directory.subscribe((event) => this.#take(event))
    // What was sent meanwhile is lost: who is there, and how busy, is asked again.
    link.onStatus((status) => {
      if (status === 'connected') this.#greetAll()
    })
    new SimKeptName({
      process, membership, nextNonce,
      member: { kind: 'router', name, protocol: PROTOCOL_VERSION, modelFingerprint: null },
      onHeld: ({ address }) => this.#serve(address),
      onLost: () => {
        this.#end()
        surroundings.onFenced()
        events.onFenced(this)
      },
      onFatal: surroundings.onCrash,
    })
  }

  /** null: it has no place in the cluster at the moment. */
  get actor(): RouterActor | null {
    return this.#actor
  }

  get address(): Address | null {
    return this.#address
  }

  /** From a client's connection, or from within the process: waits while the process stands still. */
  tell(message: FrontDoorMessage | RouterMessage): void {
    if (this.#address !== null) this.life.tell(SELF, this.#address, message)
  }

  kill(): void {
    this.life.kill()
    this.#actor = null
    this.#address = null
  }

  #serve(address: Address): void {
    const actor = new RouterActor(this.#parts, this.#surroundings.world.nowMs())
    this.#actor = actor
    this.#address = address
    this.life.spawn({ address, factory: () => ({ actor, effects: this.#effects }) })
    this.#greetAll()
  }

  #end(): void {
    const address = this.#address
    this.#actor = null
    this.#address = null
    if (address !== null) this.life.end(address)
  }

  #greetAll(): void {
    for (const { address } of this.life.directory.instances()) this.tell({ kind: 'member-joined', address })
  }

  #take({ kind, member }: MemberEvent): void {
    // Ids that a router left behind on instances are free again.
    if (kind === 'gone') this.tell({ kind: 'member-lost', address: member.address })
    else if (member.kind === 'instance') this.tell({ kind: 'member-joined', address: member.address })
  }
}

function clientEffects(onDeliveries: RouterEvents['onDeliveries']): EffectTable {
  return {
    tokenize: {
      limit: EFFECT_LIMIT,
      perform: (effect, run) => {
        const { input } = effect as TokenizeEffect
        if (input.kind !== 'tokens') throw new Error('simulated requests bring token ids')
        run.complete(done(input.tokenIds))
      },
    },
    deliver: {
      limit: EFFECT_LIMIT,
      perform: (effect, run) => {
        onDeliveries((effect as DeliverEffect).events)
        run.complete(DONE)
      },
    },
  }
}
