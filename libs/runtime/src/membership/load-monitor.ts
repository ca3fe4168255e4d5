// What the instances of this process report to routers, overheard on their way to the bus: for health, metrics and draining.
import type { Address } from '@rubato/actor'
import type { Bus, Receiver, Registration, SendOutcome } from '@rubato/bus'
import type { LoadMessage } from '@rubato/instance'

/** An address that only this process knows. An instance that announces itself here reports its load whoever else listens. */
export const MONITOR_ADDRESS: Address = 'process/monitor'

export class LoadMonitor implements Bus {
  readonly #bus: Bus
  readonly #loads = new Map<Address, LoadMessage>()
  readonly #waiting = new Set<() => void>()

  constructor(bus: Bus) {
    this.#bus = bus
  }

  register(address: Address, receiver: Receiver): Registration {
    const registration = this.#bus.register(address, receiver)
    return {
      close: () => {
        this.#loads.delete(address)
        registration.close()
      },
    }
  }

  send(from: Address, to: Address, payload: unknown): SendOutcome {
    if (to !== MONITOR_ADDRESS) return this.#bus.send(from, to, payload)
    if (isLoad(payload)) this.#take(from, payload)
    return 'sent'
  }

  /** The latest report from this address while something is registered there. */
  loadOf(address: Address): LoadMessage | null {
    return this.#loads.get(address) ?? null
  }

  /** Resolves once a report comes, or the signal aborts. */
  nextReport(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const settle = (): void => {
      this.#waiting.delete(settle)
      signal.removeEventListener('abort', settle)
      resolve()
    }
    this.#waiting.add(settle)
    signal.addEventListener('abort', settle, { once: true })
    if (signal.aborted) settle()
    return promise
  }

  #take(from: Address, load: LoadMessage): void {
    this.#loads.set(from, load)
    for (const settle of this.#waiting) settle()
  }
}

function isLoad(payload: unknown): payload is LoadMessage {
  return typeof payload === 'object' && payload !== null && 'kind' in payload && payload.kind === 'load'
}

/** It holds nothing for anybody: no request, no reservation, no blocks on their way. */
export function holdsNothing({ numRunning, numWaiting, freeBlocks, cachedBlocks, totalBlocks }: LoadMessage): boolean {
  return numRunning + numWaiting === 0 && freeBlocks + cachedBlocks === totalBlocks
}
