// Who receives at which address of a bus within this process.
import type { Address } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import type { Receiver, Registration } from './bus.ts'

/** One registration. Closing it empties it, also for those who hold it from before. */
export interface ReceiverBox {
  /** null once closed. */
  readonly receiver: Receiver | null
}

export class ReceiverTable {
  readonly #boxes = new Map<Address, { receiver: Receiver | null }>()

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

  find(address: Address): ReceiverBox | undefined {
    return this.#boxes.get(address)
  }
}
