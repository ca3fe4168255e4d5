// Who receives at which address of a bus within this process.
import type { Address } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import type { Receiver, Registration } from './bus.ts'
import { deepFreeze } from './deep-freeze.ts'

/** One registration. Closing it empties it, also for those who hold it from before. */
export interface ReceiverBox {
  /** null once closed. */
  readonly receiver: Receiver | null
}

export interface ReceiverTableOptions {
  /** A change of a payload after it was sent throws. */
  readonly freezePayloads: boolean
}

export class ReceiverTable {
  readonly #freezePayloads: boolean
  readonly #boxes = new Map<Address, { receiver: Receiver | null }>()

  constructor({ freezePayloads }: ReceiverTableOptions) {
    this.#freezePayloads = freezePayloads
  }

  /** Throws RubatoError `address_taken`. */
  register(address: Address, receiver: Receiver): Registration {
    if (this.#boxes.has(address)) throw new RubatoError('address_taken', `address ${address} already has a receiver on this bus`)
    const box: { receiver: Receiver | null } = { receiver }
    this.#boxes.set(address, box)
    return {
      close: () => {
        if (box.receiver === null) return
        box.receiver = null
        this.#boxes.delete(address)
      },
    }
  }

  /** The registration that a message sent now is bound to; undefined: nobody receives there. */
  accept(to: Address, payload: unknown): ReceiverBox | undefined {
    const box = this.#boxes.get(to)
    if (box !== undefined && this.#freezePayloads) deepFreeze(payload)
    return box
  }
}
