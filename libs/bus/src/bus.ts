// How actors reach each other, whatever carries the messages. `contract/` holds the tests that every bus passes.
//
// 1. Delivery is asynchronous: a receiver never runs within send().
// 2. Messages from one address to another arrive in the order sent, each at most once.
// 3. A registration that was closed receives nothing more, not even what was sent before.
// 4. Payloads are values: neither side changes one after it was sent. They may arrive as the same object.
import type { Address } from '@rubato/actor'

/** Called once per message; must not throw. */
export type Receiver = (from: Address, payload: unknown) => void

export interface Registration {
  /** Idempotent. */
  close(): void
}

export type SendOutcome = 'sent' | 'no-receiver' | 'too-large'

export interface Bus {
  /** Takes an address until closed. Throws RubatoError `address_taken` when it has a receiver. */
  register(address: Address, receiver: Receiver): Registration
  /**
   * `sent`: handed to the transport, not that it arrived. `no-receiver`: nobody has that address, as far as this bus can tell.
   * `too-large`: the transport cannot carry it, now or ever.
   */
  send(from: Address, to: Address, payload: unknown): SendOutcome
}
