// The simulated shell: hosts the actors of one process in virtual time, with the same core as the live one, and crashes them
// on demand.
//
// 1. An actor that crashes, by itself or on demand, loses its pending effects and every message under way to it.
// 2. All that an actor sees is traced just before it sees it, completions by the shell, messages by the bus.
import type { Address, Incoming, Scheduler, Supervised } from '@rubato/actor'
import { hostOnBus } from '@rubato/bus'
import type { Bus, HostedActorOptions } from '@rubato/bus'
import { RubatoError } from '@rubato/config'
import type { SimWorld } from '../sim-world.ts'
import { traceText } from '../trace-text.ts'

export interface SimShellOptions {
  readonly world: SimWorld
  readonly bus: Bus
  /** Of the process. @default the world itself, where nothing stands still */
  readonly scheduler?: Scheduler
}

export class SimShell {
  readonly #world: SimWorld
  readonly #bus: Bus
  readonly #scheduler: Scheduler
  readonly #actors = new Map<Address, Supervised>()

  constructor({ world, bus, scheduler = world }: SimShellOptions) {
    this.#world = world
    this.#bus = bus
    this.#scheduler = scheduler
  }

  /** Hosts an actor and starts it. Throws RubatoError `address_taken`. */
  spawn(options: HostedActorOptions): void {
    const { address, onEvent, onIncoming } = options
    if (this.#actors.has(address)) throw new RubatoError('address_taken', `address ${address} already has an actor`)
    const supervised = hostOnBus({
      ...options,
      onEvent: (event) => {
        this.#world.trace(`${event.kind} ${address} ${event.incarnation}${event.kind === 'crashed' ? ` ${String(event.error)}` : ''}`)
        onEvent?.(event)
      },
      ...(this.#world.isTraced ? { onIncoming: (incoming: Incoming<unknown>) => { this.#traceCompletion(address, incoming); onIncoming?.(incoming) } } : {}),
    }, { bus: this.#bus, scheduler: this.#scheduler })
    this.#actors.set(address, supervised)
  }

  /** Hands it a message at once, past the bus. False when nobody has that address. */
  deliver(from: Address, to: Address, payload: unknown): boolean {
    const supervised = this.#actors.get(to)
    if (supervised === undefined) return false
    if (this.#world.isTraced) this.#world.trace(`message ${from} ${to} ${traceText(payload)}`)
    supervised.deliver(from, payload)
    return true
  }

  /** Drops an actor as a process's death would: no last words, no restart. Its address is free to spawn again. */
  crash(address: Address): void {
    const supervised = this.#actors.get(address)
    if (supervised === undefined) throw new RubatoError('no_such_actor', `no actor at ${address} to crash`)
    this.#actors.delete(address)
    this.#world.trace(`killed ${address}`)
    supervised.stop()
  }

  /** Ends every actor. */
  stop(): void {
    for (const supervised of this.#actors.values()) supervised.stop()
    this.#actors.clear()
  }

  #traceCompletion(address: Address, incoming: Incoming<unknown>): void {
    if (incoming.kind === 'message') return
    this.#world.trace(`completion ${address} ${incoming.effectKind} ${incoming.effectId} ${traceText(incoming.outcome)}`)
  }
}
