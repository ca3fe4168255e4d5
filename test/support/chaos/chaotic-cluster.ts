// A cluster of processes to be mistreated: two routers, two prefill and two decode instances on a nats-server of their own,
// the KV ports of all instances behind proxies that cut links and corrupt bytes.
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { TcpProxy, startNatsServer } from '@rubato/testing'
import type { NatsServer, SeededRandom } from '@rubato/testing'
import type { RouterDoors } from '../load/doors.ts'
import { allEmpty, loadsAt } from '../operator.ts'
import { Services } from '../processes.ts'
import { Slot, quietPort } from './slot.ts'
import { together } from './together.ts'

export interface ChaosOptions {
  readonly modelFlags: readonly string[]
  readonly orphanTtlS: number
}

const POLL_MS = 50
/** Start of a process on a busy machine, a lease, and what orphans may live, several times over. */
const EMPTY_LIMIT_MS = 40_000

export class ChaoticCluster {
  readonly nats: NatsServer
  readonly proxies: readonly TcpProxy[]
  readonly routers: readonly Slot[]
  readonly instances: readonly Slot[]

  private constructor(nats: NatsServer, proxies: readonly TcpProxy[], slots: readonly Slot[]) {
    this.nats = nats
    this.proxies = proxies
    this.routers = slots.filter(({ kind }) => kind === 'router')
    this.instances = slots.filter(({ kind }) => kind !== 'router')
  }

  /** Resolves when every router can reach every instance. */
  static async start(t: TestContext, random: SeededRandom, { modelFlags, orphanTtlS }: ChaosOptions): Promise<ChaoticCluster> {
    const nats = await startNatsServer(t)
    const services = new Services(t, { natsUrl: nats.url, modelFlags })
    const proxies: TcpProxy[] = []
    const instance = async (kind: 'prefill' | 'decode', name: string): Promise<Slot> => {
      const port = await quietPort(random)
      const proxy = await TcpProxy.start({ targetPort: port })
      t.after(() => proxy.close())
      proxies.push(proxy)
      const flags = ['--kv-port', `${port}`, '--advertise-address', proxy.address, '--orphan-ttl', `${orphanTtlS}`]
      return new Slot(kind, name, () => services[kind](name, flags))
    }
    const router = (name: string): Slot => new Slot('router', name, () => services.router(name, ['--placement', 'disaggregated']))
    const slots = [router('r1'), router('r2'), await instance('prefill', 'p1'), await instance('prefill', 'p2'), await instance('decode', 'd1'), await instance('decode', 'd2')]
    const cluster = new ChaoticCluster(nats, proxies, slots)
    await together(t.signal, ...slots.map((slot) => (signal: AbortSignal) => slot.start(signal)))
    await cluster.empty(t.signal)
    return cluster
  }

  /** Doors of the routers that run. */
  doors(): readonly RouterDoors[] {
    return this.routers.flatMap(({ service }) => (service === null ? [] : [{ http: service.http!, grpc: service.grpc! }]))
  }

  /** Resolves once every instance runs, every router knows all of them, and none holds anything. */
  async empty(signal: AbortSignal): Promise<void> {
    const isEmpty = async (): Promise<boolean> => (await Promise.all(this.routers.map(async ({ service }) => service !== null && allEmpty(service, this.instances.length)))).every(Boolean)
    const endMs = performance.now() + EMPTY_LIMIT_MS
    while (!(await isEmpty())) {
      if (performance.now() > endMs) throw new Error(`not empty after ${EMPTY_LIMIT_MS} ms: ${await this.#held()}`)
      await delay(POLL_MS, undefined, { signal })
    }
  }

  async #held(): Promise<string> {
    const seen = await Promise.all(this.routers.map(async ({ name, service }) => ({ name, loads: service === null ? null : await loadsAt(service) })))
    return JSON.stringify(seen)
  }

  /** SIGTERM to all; their exit codes. */
  stop(): Promise<readonly number[]> {
    return Promise.all([...this.routers, ...this.instances].map(({ service }) => service!.stop()))
  }
}
