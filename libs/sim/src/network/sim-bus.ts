// A bus of simulated links between places: each pair of places has its own latency, with seeded jitter, and keeps its order,
// unless a fault is asked for: loss, reordering, slow links, places that are cut off, a broker that is down.
//
// 1. A message is lost when the dice say so, or when its sender, its receiver or the broker is out of reach as it is sent or
//    as it arrives. Its sender cannot tell.
// 2. Without faults this bus keeps the contract of every bus. A reordered message breaks rule 2 of that on purpose.
import type { Address } from '@rubato/actor'
import { deepFreeze } from '@rubato/bus'
import type { Bus, Receiver, Registration, SendOutcome } from '@rubato/bus'
import { RubatoError } from '@rubato/config'
import type { RandomStream } from '../random-stream.ts'
import type { SimWorld } from '../sim-world.ts'
import { traceText } from '../trace-text.ts'

export interface LinkLatency {
  readonly baseMs: number
  /** Added to baseMs: uniform in [0, jitterMs). */
  readonly jitterMs: number
}

/** Of every link; may be changed at any time. */
export interface BusFaults {
  /** Share of messages that get lost. */
  lossRatio: number
  /** Share of messages that take up to `reorderMs` longer and are overtaken meanwhile. */
  reorderRatio: number
  reorderMs: number
  /** Times the latency. */
  latencyFactor: number
  /** The broker is down: nothing gets through. */
  isDown: boolean
}

export interface SimBusOptions {
  readonly world: SimWorld
  /** Latency of a link, asked once per pair of places. Default: 0.1 ms + up to 0.1 ms. */
  readonly latency?: (from: string, to: string) => LinkLatency
  /** A change of a payload after send() throws. Default true. */
  readonly freezePayloads?: boolean
  /** False: senders hear `sent` whether or not anybody receives, as over NATS. Default true. */
  readonly knowsReceivers?: boolean
}

/** Where the actors of one process send from and receive. */
export interface Place {
  readonly name: string
  /** Who can reach whom: 0 with the broker and all others there; elsewhere the bus reaches nobody. */
  partition: number
  readonly links: Map<Place, Link>
}

interface Link {
  readonly latency: LinkLatency
  readonly random: RandomStream
  /** Arrival of its newest message: a later one does not overtake it. */
  lastArrivalMs: number
}

/** One registration; closing it empties it, also for what is under way. */
interface Box {
  readonly place: Place
  receiver: Receiver | null
}

const DEFAULT_LATENCY: LinkLatency = { baseMs: 0.1, jitterMs: 0.1 }
const DEFAULT_REORDER_MS = 5

export class SimBus implements Bus {
  readonly faults: BusFaults = { lossRatio: 0, reorderRatio: 0, reorderMs: DEFAULT_REORDER_MS, latencyFactor: 1, isDown: false }
  readonly #world: SimWorld
  readonly #latency: (from: string, to: string) => LinkLatency
  readonly #freezePayloads: boolean
  readonly #knowsReceivers: boolean
  readonly #boxes = new Map<Address, Box>()
  readonly #places = new Map<string, Place>()
  readonly #dice: RandomStream
  #numSent = 0
  #numLost = 0

  constructor({ world, latency = () => DEFAULT_LATENCY, freezePayloads = true, knowsReceivers = true }: SimBusOptions) {
    this.#world = world
    this.#latency = latency
    this.#freezePayloads = freezePayloads
    this.#knowsReceivers = knowsReceivers
    this.#dice = world.random('bus faults')
  }

  get numSent(): number {
    return this.#numSent
  }

  /** Of those sent: to nobody, out of reach, or by the dice. */
  get numLost(): number {
    return this.#numLost
  }

  /** The place of that name, made when first asked for. */
  place(name: string): Place {
    let place = this.#places.get(name)
    if (place === undefined) {
      place = { name, partition: 0, links: new Map() }
      this.#places.set(name, place)
    }
    return place
  }

  /** The bus as it is at one place. */
  at(place: Place): Bus {
    return {
      register: (address, receiver) => this.#register(place, address, receiver),
      send: (from, to, payload) => this.#send(place, from, to, payload),
    }
  }

  /** At a place of its own, named as the address. */
  register(address: Address, receiver: Receiver): Registration {
    return this.#register(this.place(address), address, receiver)
  }

  /** From a place of its own, named as the address. */
  send(from: Address, to: Address, payload: unknown): SendOutcome {
    return this.#send(this.place(from), from, to, payload)
  }

  #register(place: Place, address: Address, receiver: Receiver): Registration {
    if (this.#boxes.has(address)) throw new RubatoError('address_taken', `address ${address} already has a receiver on this bus`)
    const box: Box = { place, receiver }
    this.#boxes.set(address, box)
    return {
      close: () => {
        if (box.receiver === null) return
        box.receiver = null
        this.#boxes.delete(address)
      },
    }
  }

  #send(place: Place, from: Address, to: Address, payload: unknown): SendOutcome {
    const { faults } = this
    const box = this.#boxes.get(to)
    if (box === undefined && this.#knowsReceivers) return 'no-receiver'
    this.#numSent += 1
    if (this.#freezePayloads) deepFreeze(payload)
    const isDropped = faults.lossRatio > 0 && this.#dice.next() < faults.lossRatio
    if (box === undefined || isDropped || faults.isDown || place.partition !== 0 || box.place.partition !== 0) {
      this.#lose(from, to, payload)
      return 'sent'
    }
    this.#world.scheduleAt(this.#arrivalMs(this.#link(place, box.place)), () => {
      if (box.receiver === null || faults.isDown || place.partition !== 0 || box.place.partition !== 0) this.#lose(from, to, payload)
      else {
        if (this.#world.isTraced) this.#world.trace(`message ${from} ${to} ${traceText(payload)}`)
        box.receiver(from, payload)
      }
    })
    return 'sent'
  }

  #lose(from: Address, to: Address, payload: unknown): void {
    this.#numLost += 1
    if (this.#world.isTraced) this.#world.trace(`lost ${from} ${to} ${traceText(payload)}`)
  }

  #arrivalMs(link: Link): number {
    const { latencyFactor, reorderMs, reorderRatio } = this.faults
    const atMs = this.#world.nowMs() + (link.latency.baseMs + link.latency.jitterMs * link.random.next()) * latencyFactor
    if (reorderRatio > 0 && this.#dice.next() < reorderRatio) return atMs + reorderMs * this.#dice.next()
    link.lastArrivalMs = Math.max(atMs, link.lastArrivalMs)
    return link.lastArrivalMs
  }

  #link(from: Place, to: Place): Link {
    let link = from.links.get(to)
    if (link === undefined) {
      link = { latency: this.#latency(from.name, to.name), random: this.#world.random(`link ${from.name} > ${to.name}`), lastArrivalMs: 0 }
      from.links.set(to, link)
    }
    return link
  }
}
