// The speculators that there are, what each was told, and which is asked.
//
// 1. An instance keeps to one speculator for as long as that answers: its draft KV is there. Which one differs from instance to
//    instance (rendezvous hashing), so that they spread, and only those of one that comes or goes move.
// 2. Who refused for good is not asked again during its stay.
import type { Address } from '@rubato/actor'
import { CircuitBreaker } from './circuit-breaker.ts'

/** A speculator in membership. */
export interface SpeculatorPeer {
  /** Of its stay. */
  readonly address: Address
  /** What the shell connects to: `host:port`, or an address on the bus. */
  readonly endpoint: string
}

export interface Speculator extends SpeculatorPeer {
  readonly breaker: CircuitBreaker
  /** Tokens told, by handle. */
  readonly told: Map<number, number>
  hasRefused: boolean
}

export class KnownSpeculators {
  readonly #instanceId: string
  /** In order of preference. */
  #speculators: Speculator[] = []

  constructor(instanceId: string, peers: readonly SpeculatorPeer[]) {
    this.#instanceId = instanceId
    for (const peer of peers) this.join(peer)
  }

  get size(): number {
    return this.#speculators.length
  }

  [Symbol.iterator](): Iterator<Speculator> {
    return this.#speculators[Symbol.iterator]()
  }

  join({ address, endpoint }: SpeculatorPeer): void {
    if (this.#speculators.some((known) => known.address === address)) return
    this.#speculators.push({ address, endpoint, breaker: new CircuitBreaker(), told: new Map(), hasRefused: false })
    this.#speculators.sort((a, b) => this.#preference(b) - this.#preference(a))
  }

  lose(address: Address): void {
    this.#speculators = this.#speculators.filter((known) => known.address !== address)
  }

  /** The most preferred that may be asked: one that is to be probed goes before a less preferred one that works. */
  choose(nowMs: number): Speculator | null {
    return this.#speculators.find(({ breaker, hasRefused }) => !hasRefused && breaker.mayAsk(nowMs)) ?? null
  }

  /** FNV-1a over both names, with a final mix. */
  #preference({ address }: SpeculatorPeer): number {
    const text = `${this.#instanceId} ${address}`
    let hash = 0x811c9dc5
    for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    return (hash ^ (hash >>> 13)) >>> 0
  }
}
