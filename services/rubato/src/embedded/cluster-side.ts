// `rubato serve --nats`: what makes the router and the instances of one process members of a cluster.
import type { ServeConfig } from '@rubato/config'
import type { NatsLink } from '@rubato/bus'
import type { KvTransport } from '@rubato/rpc'
import { ClusterInstance, LoadMonitor, MONITOR_ADDRESS, MemberDirectory, clusterDrafts, openKvTransport, openNats, readPeerTls } from '@rubato/runtime'
import type { InstanceDrafts, InstanceHost } from '@rubato/runtime'
import { RouterMember } from '../cluster/router-member.ts'
import type { RouterService } from '../cluster/router-service.ts'
import type { ClusterOptions } from './cluster.ts'
import type { PlannedInstance } from './instances.ts'

type Link = NonNullable<ServeConfig['link']>
type Closers = (() => Promise<unknown>)[]

export class ClusterSide {
  /** Peers pull from every instance of this process here. */
  readonly kv: KvTransport
  readonly bus: LoadMonitor
  readonly #link: Link
  readonly #options: ClusterOptions
  readonly #nats: NatsLink
  readonly #directory: MemberDirectory
  readonly #instances: ClusterInstance[] = []

  private constructor(link: Link, options: ClusterOptions, nats: NatsLink, kv: KvTransport) {
    this.#link = link
    this.#options = options
    this.#nats = nats
    this.kv = kv
    this.bus = new LoadMonitor(nats.bus)
    this.#directory = new MemberDirectory(nats.membership)
  }

  /** Rejects as openNats and openKvTransport do. */
  static async open(link: Link, options: ClusterOptions, closers: Closers): Promise<ClusterSide> {
    const { log } = options
    const nats = await openNats(link.nats, link.instanceId, log)
    closers.push(() => nats.close())
    const kv = await openKvTransport(link.kv, (event) => {
      if (event.kind !== 'sent' && event.kind !== 'pulled') log.warn({ ...event }, 'a KV transfer failed')
    })
    closers.push(() => kv.close())
    const side = new ClusterSide(link, options, nats, kv)
    closers.push(async () => side.#directory.close())
    return side
  }

  get isConnected(): boolean {
    return this.#nats.isConnected
  }

  /** Speculators of the cluster. */
  drafts(vocabulary: string): InstanceDrafts {
    return clusterDrafts(this.#directory, { vocabulary, tls: readPeerTls(this.#link.kv.tls), log: this.#options.log })
  }

  announceTo(): readonly string[] {
    return [...this.#directory.routers(), MONITOR_ADDRESS]
  }

  /** Every instance under a name of its own, `<instance-id>-<its name here>`, then the router under --instance-id. */
  async join(planned: readonly PlannedInstance[], hosts: readonly InstanceHost[], router: { readonly service: RouterService; readonly fingerprint: string }, closers: Closers): Promise<void> {
    const { log, onFatal } = this.#options
    const shared = { membership: this.#nats.membership, directory: this.#directory, monitor: this.bus, log, onFatal }
    await Promise.all(planned.map(async ({ name }, index) => {
      const instance = await ClusterInstance.join({ ...shared, name: `${this.#link.instanceId}-${name}`, host: hosts[index]! })
      this.#instances.push(instance)
      closers.push(() => instance.leave())
    }))
    const member = await RouterMember.join({ ...router, name: this.#link.instanceId, nats: this.#nats, directory: this.#directory, log, onFatal })
    closers.push(() => member.leave())
  }

  /** Lets the instances finish what they hold, also for routers of other processes. */
  async drain(limitMs: number): Promise<void> {
    await Promise.all(this.#instances.map((instance) => instance.drain(limitMs)))
  }
}
