// A bus of simulated links: every pair of addresses has its own latency, with seeded jitter, and keeps its order.
import type { Address } from '@rubato/actor'
import { ReceiverTable } from '@rubato/bus'
import type { Bus, Receiver, ReceiverBox, Registration, SendOutcome } from '@rubato/bus'
import type { RandomStream } from './random-stream.ts'
import type { SimWorld } from './sim-world.ts'
import { traceText } from './trace-text.ts'

export interface LinkLatency {
  readonly baseMs: number
  /** Added to baseMs: uniform in [0, jitterMs). */
  readonly jitterMs: number
}

export interface SimBusOptions {
  readonly world: SimWorld
  /** Latency of a link, asked once per pair. Default: 0.1 ms + up to 0.1 ms. */
  readonly latency?: (from: Address, to: Address) => LinkLatency
  /** A change of a payload after send() throws. Default true. */
  readonly freezePayloads?: boolean
}

interface Link {
  readonly latency: LinkLatency
  readonly random: RandomStream
  /** Arrival of its newest message: a later one does not overtake it. */
  lastArrivalMs: number
}

const DEFAULT_LATENCY: LinkLatency = { baseMs: 0.1, jitterMs: 0.1 }

export class SimBus implements Bus {
  readonly #world: SimWorld
  readonly #latency: (from: Address, to: Address) => LinkLatency
  readonly #receivers: ReceiverTable
  readonly #links = new Map<string, Link>()

  constructor({ world, latency = () => DEFAULT_LATENCY, freezePayloads = true }: SimBusOptions) {
    this.#world = world
    this.#latency = latency
    this.#receivers = new ReceiverTable({ freezePayloads })
  }

  register(address: Address, receiver: Receiver): Registration {
    return this.#receivers.register(address, receiver)
  }

  send(from: Address, to: Address, payload: unknown): SendOutcome {
    const box = this.#receivers.accept(to, payload)
    if (box === undefined) return 'no-receiver'
    const link = this.#link(from, to)
    const nowMs = this.#world.nowMs()
    const travelMs = link.latency.baseMs + link.latency.jitterMs * link.random.next()
    link.lastArrivalMs = Math.max(nowMs + travelMs, link.lastArrivalMs)
    this.#world.schedule(link.lastArrivalMs - nowMs, () => this.#arrive(box, { from, to, payload }))
    return 'sent'
  }

  #arrive(box: ReceiverBox, { from, to, payload }: { from: Address; to: Address; payload: unknown }): void {
    if (this.#world.isTraced) this.#world.trace(`${box.receiver === null ? 'lost' : 'message'} ${from} ${to} ${traceText(payload)}`)
    box.receiver?.(from, payload)
  }

  #link(from: Address, to: Address): Link {
    const key = `${from} > ${to}`
    let link = this.#links.get(key)
    if (link === undefined) {
      link = { latency: this.#latency(from, to), random: this.#world.random(`link ${key}`), lastArrivalMs: 0 }
      this.#links.set(key, link)
    }
    return link
  }
}
