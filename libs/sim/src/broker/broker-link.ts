// A process's connection to the simulated broker: requests with answers, changes as they are published, and whether the
// connection stands, as a NATS client notices it.
//
//   connected ──broker gone: at once; cut off: after two pings──> disconnected ──reachable again: 0.1 to 0.2 s──> connected
//
// 1. A request is answered once: with the broker's answer, or with null when none came within a second.
// 2. What is published while the process cannot be reached is lost to it.
import type { Place } from '../network/sim-bus.ts'
import type { SimProcess } from '../process/sim-process.ts'
import type { RandomStream } from '../random-stream.ts'
import type { SimWorld } from '../sim-world.ts'
import type { LeaseChange, SimBroker } from './sim-broker.ts'

export type LinkStatus = 'connected' | 'disconnected'

export interface BrokerLinkOptions {
  readonly world: SimWorld
  readonly broker: SimBroker
  readonly process: SimProcess
  /** Its partition says whether the broker can be reached. */
  readonly place: Place
}

const REQUEST_TIMEOUT_MS = 1000
const LATENCY_MS = 0.1
const LATENCY_JITTER_MS = 0.1
const NOTICE_MS = 600
const NOTICE_JITTER_MS = 300
const RECONNECT_MS = 100
const RECONNECT_JITTER_MS = 100

export class BrokerLink {
  readonly #options: BrokerLinkOptions
  readonly #random: RandomStream
  readonly #statusListeners = new Set<(status: LinkStatus) => void>()
  readonly #changeListeners = new Set<(change: LeaseChange) => void>()
  readonly #detach: () => void
  #isConnected: boolean
  /** Ends a change of status that has not happened yet. */
  #cancelChange: (() => void) | null = null

  constructor(options: BrokerLinkOptions) {
    this.#options = options
    this.#random = options.world.random(`broker ${options.place.name}`)
    this.#detach = options.broker.attach(this)
    this.#isConnected = this.#isReachable
    if (!this.#isConnected) this.reachChanged()
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  /** Tells every change of status. Returns the end of it. */
  onStatus(listener: (status: LinkStatus) => void): () => void {
    this.#statusListeners.add(listener)
    return () => void this.#statusListeners.delete(listener)
  }

  /** Tells every lease that is taken, renewed or given back. Returns the end of it. */
  onChange(listener: (change: LeaseChange) => void): () => void {
    this.#changeListeners.add(listener)
    return () => void this.#changeListeners.delete(listener)
  }

  /** Has the broker do something; `answered` runs once, never within this call. */
  request<T>(ask: () => T, answered: (answer: T | null) => void): void {
    const { world, process } = this.#options
    let isOpen = true
    const settle = (answer: T | null): void => {
      if (!isOpen) return
      isOpen = false
      cancelTimeout()
      answered(answer)
    }
    const cancelTimeout = process.schedule(REQUEST_TIMEOUT_MS, () => settle(null))
    world.schedule(this.#travelMs(), () => {
      if (!this.#isReachable) return
      const answer = ask()
      world.schedule(this.#travelMs(), () => {
        if (this.#isReachable) process.run(() => settle(answer))
      })
    })
  }

  /** The broker published a change. */
  published(change: LeaseChange): void {
    const { process } = this.#options
    if (this.#changeListeners.size === 0 || !this.#isConnected || !this.#isReachable) return
    if (process.isFrozen) process.run(() => this.#tell(change))
    else this.#tell(change)
  }

  /** The broker went down or came up, or the place was cut off or joined again. */
  reachChanged(): void {
    const { broker, process } = this.#options
    this.#cancelChange?.()
    this.#cancelChange = null
    if (this.#isReachable === this.#isConnected) return
    const delayMs = this.#isConnected
      ? broker.isUp ? this.#random.between(NOTICE_MS, NOTICE_MS + NOTICE_JITTER_MS) : LATENCY_MS
      : this.#random.between(RECONNECT_MS, RECONNECT_MS + RECONNECT_JITTER_MS)
    this.#cancelChange = process.schedule(delayMs, () => {
      this.#cancelChange = null
      if (this.#isReachable === this.#isConnected) return
      this.#isConnected = !this.#isConnected
      for (const listener of this.#statusListeners) listener(this.#isConnected ? 'connected' : 'disconnected')
    })
  }

  close(): void {
    this.#detach()
    this.#cancelChange?.()
    this.#statusListeners.clear()
    this.#changeListeners.clear()
  }

  #tell(change: LeaseChange): void {
    for (const listener of this.#changeListeners) listener(change)
  }

  get #isReachable(): boolean {
    const { broker, place, process } = this.#options
    return broker.isUp && place.partition === 0 && process.isAlive
  }

  #travelMs(): number {
    return LATENCY_MS + LATENCY_JITTER_MS * this.#random.next()
  }
}
