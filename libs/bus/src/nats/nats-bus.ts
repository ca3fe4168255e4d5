// The bus of a cluster: one subject per address on a NATS server.
//
// 1. At most once: what is sent while the server is away, or to nobody, is lost without a word, and never buffered.
// 2. A message that cannot be read is dropped and counted; its sender is reported once.
// 3. A closed registration hears nothing more, but one that follows it at the same address may hear what was sent before:
//    the bus knows receivers only here. Addresses carry a nonce per process life, messages an incarnation.
// 4. An address whose lease was lost neither sends nor receives, from the moment its holder's clock says so.
import type { Msg, NatsConnection } from '@nats-io/transport-node'
import type { Address } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import type { Bus, Receiver, Registration, SendOutcome } from '../bus.ts'
import type { ConnectionState } from './connection-state.ts'
import { guarded } from './guarded.ts'
import { subjectOf } from './subjects.ts'
import { WireCodec } from './wire.ts'

export type BusProblem =
  /** The sender speaks another protocol major. */
  | { readonly kind: 'protocol_mismatch'; readonly from: Address; readonly to: Address; readonly major: number }
  | { readonly kind: 'undecodable'; readonly to: Address; readonly reason: string }
  /** The server's permissions forbid listening there. */
  | { readonly kind: 'refused'; readonly to: Address; readonly reason: string }

export interface NatsBusOptions {
  readonly connection: NatsConnection
  readonly state: ConnectionState
  readonly cluster: string
  /** True for an address of this process that must not act any more. @default never */
  readonly isFenced?: (address: Address) => boolean
  /** Called once per sender and kind of problem. */
  readonly onProblem?: (problem: BusProblem) => void
}

const MAX_REPORTED = 1000
const MAX_CACHED_SUBJECTS = 10_000
const FALLBACK_MAX_PAYLOAD_BYTES = 1024 * 1024

export class NatsBus implements Bus {
  readonly #options: NatsBusOptions
  readonly #codec = new WireCodec()
  readonly #taken = new Set<Address>()
  readonly #subjects = new Map<Address, string>()
  readonly #reported = new Set<string>()
  #numDropped = 0

  constructor(options: NatsBusOptions) {
    this.#options = options
  }

  /** Messages that arrived and could not be read. */
  get numDropped(): number {
    return this.#numDropped
  }

  register(address: Address, receiver: Receiver): Registration {
    const { connection, cluster } = this.#options
    const subject = subjectOf(cluster, address)
    if (this.#taken.has(address)) throw new RubatoError('address_taken', `address ${address} already has a receiver on this bus`)
    const registration = { isOpen: true }
    const subscription = connection.subscribe(subject, {
      callback: (error, message) => {
        if (!registration.isOpen) return
        if (error === null) this.#deliver(address, message, receiver)
        else this.#report(`refused ${address}`, { kind: 'refused', to: address, reason: error.message })
      },
    })
    this.#taken.add(address)
    return {
      close: () => {
        if (!registration.isOpen) return
        registration.isOpen = false
        this.#taken.delete(address)
        subscription.unsubscribe()
      },
    }
  }

  /** `too-large` above the server's max_payload (1 MiB unless configured). */
  send(from: Address, to: Address, payload: unknown): SendOutcome {
    const { connection, state, isFenced } = this.#options
    const subject = this.#subjectOf(to)
    const bytes = this.#codec.encode(from, payload)
    if (bytes.length > (connection.info?.max_payload ?? FALLBACK_MAX_PAYLOAD_BYTES)) return 'too-large'
    // The client would keep everything until its next attempt to connect, then throw it away.
    if (state.isConnected && isFenced?.(from) !== true) connection.publish(subject, bytes)
    return 'sent'
  }

  #subjectOf(address: Address): string {
    let subject = this.#subjects.get(address)
    if (subject === undefined) {
      subject = subjectOf(this.#options.cluster, address)
      if (this.#subjects.size >= MAX_CACHED_SUBJECTS) this.#subjects.clear()
      this.#subjects.set(address, subject)
    }
    return subject
  }

  #deliver(to: Address, message: Msg, receiver: Receiver): void {
    if (this.#options.isFenced?.(to) === true) return
    const decoded = this.#codec.decode(message.data)
    switch (decoded.kind) {
      case 'message':
        return guarded(() => receiver(decoded.from, decoded.payload))
      case 'foreign':
        this.#numDropped += 1
        this.#report(`foreign ${decoded.from}`, { kind: 'protocol_mismatch', from: decoded.from, to, major: decoded.major })
        return
      case 'undecodable':
        this.#numDropped += 1
        this.#report(`undecodable ${to}`, { kind: 'undecodable', to, reason: decoded.reason })
    }
  }

  #report(key: string, problem: BusProblem): void {
    if (this.#reported.has(key) || this.#reported.size >= MAX_REPORTED) return
    this.#reported.add(key)
    this.#options.onProblem?.(problem)
  }
}
