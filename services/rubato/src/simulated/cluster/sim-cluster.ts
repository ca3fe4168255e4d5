// A whole cluster in virtual time: the actors that serve, as processes that can die, stand still and be cut off, their clients,
// and the handle of whoever experiments with them. Same seed and same calls: same events, byte for byte.
import assert from 'node:assert/strict'
import type { Address } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import type { InstanceMessage, InstanceRole, LoadMessage } from '@rubato/instance'
import type { ClientRequest } from '@rubato/service-router'
import type { SimWorld } from '@rubato/sim'
import { SimClients } from './clients/clients.ts'
import type { SimRequestRecord } from './clients/record.ts'
import type { SimClusterOptions } from './options.ts'
import { InstanceProcess } from './processes/instance.ts'
import type { Life } from './processes/life.ts'
import { MigratorProcess } from './processes/migrator.ts'
import { RouterProcess } from './processes/router.ts'
import { routerParts } from './processes/served-models.ts'
import { openSurroundings } from './surroundings.ts'
import type { Surroundings } from './surroundings.ts'

export interface KillOptions {
  /** When another process of the name starts; null: never. */
  readonly restartMs: number | null
}

/** Of every link until set anew; at first all ratios are 0 and all factors 1. */
export interface LinkFaults {
  /** Share of messages that get lost. */
  readonly lossRatio: number
  /** Share of messages that others of the same link overtake: no real bus does that. */
  readonly reorderRatio: number
  readonly latencyFactor: number
  /** Of KV transfers that begin from now on. */
  readonly bandwidthFactor: number
  /** Share of KV transfers that break off. */
  readonly kvCutRatio: number
}

export interface MoveOptions {
  /** null: the instance chooses. @default null */
  readonly requestId?: string | null
  /** How long the pairing holds; 0: one request. @default 0 */
  readonly forMs?: number
}

export interface SimInstanceView {
  readonly name: string
  /** As it last reported; null: its process is down, or has no place in the cluster. */
  readonly load: LoadMessage | null
}

export interface SimTraffic {
  readonly numMessages: number
  readonly numLostMessages: number
  readonly kvBytes: number
}

/** A process of the cluster, whatever it hosts. */
interface AnyProcess {
  readonly life: Life
  kill(): void
}

/** Where operators speak from. */
const OPERATOR: Address = 'operator'
const READY_LIMIT_MS = 60_000
/** Until another process takes the place of one that a command killed. */
const DEATH_RESTART_MS = 1_000

export class SimCluster {
  readonly world: SimWorld
  /** What actors and engines threw: empty unless something is broken. */
  readonly crashes: unknown[] = []
  readonly #surroundings: Surroundings
  readonly #clients: SimClients
  readonly #routers = new Map<string, RouterProcess>()
  readonly #instances = new Map<string, InstanceProcess>()
  readonly #migrators = new Map<string, MigratorProcess>()
  readonly #starts = new Map<string, () => void>()
  #lastPartition = 0
  #numFenced = 0

  /** Starts every process at the world's present time. */
  constructor(options: SimClusterOptions) {
    const { world, numRouters, instances, migration, numMigrators = migration === 'llumnix' ? 1 : 0 } = options
    this.world = world
    this.#surroundings = openSurroundings(options, {
      onCrash: (error) => this.crashes.push(error),
      onFenced: () => (this.#numFenced += 1),
      onProcessDeath: (name) => this.kill(name, { restartMs: DEATH_RESTART_MS }),
    })
    const routers = (): RouterProcess[] => [...this.#routers.values()].filter(({ address }) => address !== null)
    this.#clients = new SimClients({ options, nextNonce: this.#surroundings.nextNonce, routers })
    const parts = routerParts(options)
    const events = { onDeliveries: this.#clients.hear.bind(this.#clients), onFenced: (router: RouterProcess) => this.#clients.routerGone(router) }
    for (const name of names('r', numRouters)) this.#starts.set(name, () => this.#routers.set(name, new RouterProcess(this.#surroundings, name, parts, events)))
    for (const spec of instances) {
      if (this.#starts.has(spec.name)) throw new RubatoError('invalid_argument', `two processes are named ${spec.name}`)
      this.#starts.set(spec.name, () => this.#instances.set(spec.name, new InstanceProcess(this.#surroundings, spec)))
    }
    for (const name of names('m', numMigrators)) this.#starts.set(name, () => this.#migrators.set(name, new MigratorProcess(this.#surroundings, name)))
    for (const start of this.#starts.values()) start()
  }

  /** Runs the world until every router knows every instance. Throws when that takes longer than a minute. */
  runUntilReady(): void {
    const isReady = (): boolean => [...this.#routers.values()].every(({ actor }) => actor?.instances().length === this.#instances.size)
    if (!this.world.runUntil(isReady, READY_LIMIT_MS)) throw new RubatoError('unavailable', 'the simulated cluster did not get ready')
  }

  /** Stays of routers and instances that ended because their lease could not be trusted any more. */
  get numFenced(): number {
    return this.#numFenced
  }

  /** Requests that have not ended. */
  get numOpen(): number {
    return this.#clients.numOpen
  }

  /** Hands the request, which brings token ids, to a router now. */
  submit(request: ClientRequest): SimRequestRecord {
    return this.#clients.submit(request)
  }

  /** Its client leaves. No-op once it ended. */
  cancel(record: SimRequestRecord): void {
    this.#clients.cancel(record)
  }

  setRole(name: string, role: InstanceRole): void {
    this.#tell(name, { kind: 'set-role', role })
  }

  drain(name: string): void {
    this.#tell(name, { kind: 'drain' })
  }

  undrain(name: string): void {
    this.#tell(name, { kind: 'undrain' })
  }

  /** Tells an instance to move live requests to another; nothing happens while the other cannot be reached. */
  migrate(from: string, to: string, { requestId = null, forMs = 0 }: MoveOptions = {}): void {
    const address = this.#instances.get(to)?.address ?? null
    if (address !== null) this.#tell(from, { kind: 'migrate', requestId, to: { instanceId: address.slice('instance/'.length), address }, forMs })
  }

  /** kill -9 of a router, instance or migrator: no last words; its lease runs out. No-op while it is down. */
  kill(name: string, { restartMs }: KillOptions): void {
    const process = this.#find(name)
    if (process === undefined) return
    this.world.trace(`killed ${name}`)
    process.kill()
    this.#migrators.delete(name)
    this.#instances.delete(name)
    const router = this.#routers.get(name)
    this.#routers.delete(name)
    if (restartMs !== null) this.world.schedule(restartMs, () => this.#starts.get(name)?.())
    if (router !== undefined) this.#clients.routerGone(router)
  }

  /** The engine of an instance dies, its process does not. */
  killEngine(name: string): void {
    this.#instances.get(name)?.killEngine()
  }

  /** SIGSTOP for so long: nothing of the process runs, and its clock goes on. */
  freeze(name: string, forMs: number): void {
    this.#find(name)?.life.process.freeze(forMs)
  }

  /** Cuts these processes off from all others and from the broker; among themselves they still ship KV. */
  partition(cut: readonly string[], forMs: number): void {
    this.#lastPartition += 1
    const partition = this.#lastPartition
    for (const name of cut) this.#moveTo(name, partition)
    this.world.schedule(forMs, () => {
      for (const name of cut) if (this.#surroundings.bus.place(name).partition === partition) this.#moveTo(name, 0)
    })
  }

  setLinkFaults({ lossRatio, reorderRatio, latencyFactor, bandwidthFactor, kvCutRatio }: Partial<LinkFaults>): void {
    const { bus, kv } = this.#surroundings
    bus.faults.lossRatio = lossRatio ?? bus.faults.lossRatio
    bus.faults.reorderRatio = reorderRatio ?? bus.faults.reorderRatio
    bus.faults.latencyFactor = latencyFactor ?? bus.faults.latencyFactor
    kv.faults.latencyFactor = latencyFactor ?? kv.faults.latencyFactor
    kv.faults.bandwidthFactor = bandwidthFactor ?? kv.faults.bandwidthFactor
    kv.faults.cutRatio = kvCutRatio ?? kv.faults.cutRatio
  }

  /** The broker dies with all leases; nobody reaches anybody over the bus for so long. No-op while it is down. */
  restartBroker(downMs: number): void {
    const { broker, bus } = this.#surroundings
    if (!broker.isUp) return
    bus.faults.isDown = true
    broker.restart(downMs)
    this.world.schedule(downMs, () => (bus.faults.isDown = false))
  }

  /** Every instance there was from the start. */
  loads(): readonly SimInstanceView[] {
    return this.#surroundings.options.instances.map(({ name }) => ({ name, load: this.#instances.get(name)?.load ?? null }))
  }

  traffic(): SimTraffic {
    const { bus, kv } = this.#surroundings
    return { numMessages: bus.numSent, numLostMessages: bus.numLost, kvBytes: kv.bytesMoved }
  }

  /** Names of processes that run, or stand still, now. */
  running(): { readonly routers: readonly string[]; readonly instances: readonly string[]; readonly migrators: readonly string[] } {
    return { routers: [...this.#routers.keys()], instances: [...this.#instances.keys()], migrators: [...this.#migrators.keys()] }
  }

  /** Routers' statistics and sizes, by name, of those that have a place in the cluster. */
  routers(): readonly { readonly name: string; readonly actor: NonNullable<RouterProcess['actor']> }[] {
    return [...this.#routers.values()].flatMap(({ name, actor }) => (actor === null ? [] : [{ name, actor }]))
  }

  /** Throws unless nothing is held anywhere: no request at a router, no sequence in an engine, no owned block, no offer. */
  assertIdle(label: string): void {
    for (const { name, actor } of this.routers()) {
      for (const [what, size] of Object.entries(actor.sizes())) assert.equal(size, 0, `${label}: ${name} still has ${size} in ${what}`)
    }
    for (const [name, instance] of this.#instances) {
      instance.assertIntegrity()
      assert.equal(instance.numLive, 0, `${label}: the engine of ${name} still holds sequences`)
      const { load } = instance
      if (load !== null) assert.equal(load.freeBlocks + load.cachedBlocks, load.totalBlocks, `${label}: ${name} still owns blocks`)
    }
    assert.equal(this.#surroundings.kv.numOffers, 0, `${label}: offers are left open`)
  }

  #find(name: string): AnyProcess | undefined {
    return this.#routers.get(name) ?? this.#instances.get(name) ?? this.#migrators.get(name)
  }

  #tell(name: string, message: InstanceMessage): void {
    this.#instances.get(name)?.tell(OPERATOR, message)
  }

  #moveTo(name: string, partition: number): void {
    this.#surroundings.bus.place(name).partition = partition
    this.#find(name)?.life.link.reachChanged()
  }
}

function names(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${letter}${index + 1}`)
}
