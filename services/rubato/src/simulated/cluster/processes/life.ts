// One life of a process of the cluster, from its start to its death: its clock, its place on the network, its connection to the
// broker, and the shell that hosts its actors.
//
// 1. What a fenced address sends or is sent is dropped, as on the bus of a live process; so is what is sent while disconnected.
// 2. While the process stands still messages wait for it, as in its sockets.
import type { Address, SupervisionEvent } from '@rubato/actor'
import type { Bus, HostedActorOptions } from '@rubato/bus'
import { LEASE_TIMES } from '@rubato/bus/lease'
import { LoadMonitor, MemberDirectory } from '@rubato/runtime/membership'
import { BrokerLink, SimMembership, SimProcess, SimShell } from '@rubato/sim'
import type { LeaseSurroundings, Place } from '@rubato/sim'
import type { Surroundings } from '../surroundings.ts'

export class Life {
  readonly process: SimProcess
  readonly place: Place
  readonly link: BrokerLink
  readonly membership: SimMembership
  readonly directory: MemberDirectory
  readonly monitor: LoadMonitor
  /** For leases of its own beside membership. */
  readonly leases: LeaseSurroundings
  readonly #shell: SimShell
  readonly #surroundings: Surroundings

  constructor(surroundings: Surroundings, name: string) {
    const { world, bus, broker } = surroundings
    this.#surroundings = surroundings
    this.process = new SimProcess(world, name)
    this.place = bus.place(name)
    this.link = new BrokerLink({ world, broker, process: this.process, place: this.place })
    this.leases = { process: this.process, link: this.link, broker, times: LEASE_TIMES }
    this.membership = new SimMembership(this.leases)
    this.directory = new MemberDirectory(this.membership)
    this.monitor = new LoadMonitor(this.#memberBus(bus.at(this.place)))
    this.#shell = new SimShell({ world, bus: this.monitor, scheduler: this.process })
  }

  spawn(options: HostedActorOptions): void {
    const onEvent = (event: SupervisionEvent): void => {
      if (event.kind === 'crashed') this.#surroundings.onCrash(event.error)
    }
    const { wrap } = this.#surroundings.options
    const { address, factory } = options
    const wrapped = wrap === undefined ? factory : (incarnation: number) => wrap({ process: this.process.name, address, effects: {}, ...factory(incarnation) })
    this.#shell.spawn({ ...options, factory: wrapped, onEvent })
  }

  /** Ends an actor at once, without last words. */
  end(address: Address): void {
    this.#shell.crash(address)
  }

  /** A message from within the process, or from a client that is connected to it: waits while the process stands still. */
  tell(from: Address, to: Address, payload: unknown): void {
    this.process.run(() => this.#shell.deliver(from, to, payload))
  }

  /** kill -9. Idempotent. */
  kill(): void {
    this.process.kill()
    this.#shell.stop()
    this.link.close()
  }

  #memberBus(bus: Bus): Bus {
    const { link, membership, process } = this
    return {
      register: (address, receiver) => {
        const deliver = (from: Address, payload: unknown): void => {
          if (!membership.isFenced(address)) receiver(from, payload)
        }
        return bus.register(address, (from, payload) => {
          if (process.isFrozen) process.run(() => deliver(from, payload))
          else deliver(from, payload)
        })
      },
      send: (from, to, payload) => (link.isConnected && !membership.isFenced(from) ? bus.send(from, to, payload) : 'sent'),
    }
  }
}
