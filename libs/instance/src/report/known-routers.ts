// Routers that announced themselves or sent a request, for reports that nobody asked for.
import type { Address } from '@rubato/actor'

const MAX_ROUTERS = 256

/** The least recently heard is forgotten past 256; it is known again with its next message. */
export class KnownRouters {
  readonly #addresses = new Set<Address>()

  get size(): number {
    return this.#addresses.size
  }

  /** True when it was not known. */
  hear(address: Address): boolean {
    const isNew = !this.#addresses.delete(address)
    this.#addresses.add(address)
    if (this.#addresses.size > MAX_ROUTERS) {
      const [oldest] = this.#addresses
      if (oldest !== undefined) this.#addresses.delete(oldest)
    }
    return isNew
  }

  forget(address: Address): void {
    this.#addresses.delete(address)
  }

  [Symbol.iterator](): Iterator<Address> {
    return this.#addresses.values()
  }
}
