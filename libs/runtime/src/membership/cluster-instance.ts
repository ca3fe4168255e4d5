// One instance as a member of a cluster: its host under a kept name, told of members that are gone and of speculators
// that come, drained before it leaves.
import type { Address } from '@rubato/actor'
import { PROTOCOL_VERSION } from '@rubato/bus'
import type { Membership } from '@rubato/bus'
import type { LoadMessage } from '@rubato/instance'
import { speculatorPeer } from '../draft/instance-drafts.ts'
import type { InstanceHost, InstanceIdentity } from '../instance-host.ts'
import { KeptName } from './kept-name.ts'
import { MONITOR_ADDRESS, holdsNothing } from './load-monitor.ts'
import type { LoadMonitor } from './load-monitor.ts'
import type { MemberDirectory } from './member-directory.ts'
import type { ProcessLog } from '../process/process-log.ts'

export interface ClusterInstanceParts {
  readonly name: string
  /** Opened, serving nobody yet. */
  readonly host: InstanceHost
  readonly membership: Pick<Membership, 'join'>
  readonly directory: MemberDirectory
  readonly monitor: LoadMonitor
  readonly log: ProcessLog
  /** The process should end. */
  readonly onFatal: (error: Error) => void
}

export class ClusterInstance {
  readonly #parts: ClusterInstanceParts
  readonly #endWatch: () => void
  #name: KeptName | null = null
  #address: Address | null = null
  #draining = false

  private constructor(parts: ClusterInstanceParts) {
    this.#parts = parts
    this.#endWatch = parts.directory.subscribe(({ kind, member }) => {
      if (kind === 'gone' && member.address !== this.#address) parts.host.tell(MONITOR_ADDRESS, { kind: 'member-gone', address: member.address })
      // A router that joined just before this instance could be reached has greeted it in vain.
      if (kind === 'joined' && member.kind === 'router') parts.host.tell(member.address, { kind: 'hello' })
      const speculator = kind === 'joined' ? speculatorPeer(member) : null
      if (speculator !== null) parts.host.tell(MONITOR_ADDRESS, { kind: 'speculator-joined', ...speculator })
    })
  }

  /** Joins the cluster and serves. Rejects as Membership.join does. */
  static async join(parts: ClusterInstanceParts): Promise<ClusterInstance> {
    const instance = new ClusterInstance(parts)
    const { name, host, membership, log, onFatal } = parts
    try {
      instance.#name = await KeptName.take({
        membership, log, onFatal,
        member: { kind: 'instance', name, protocol: PROTOCOL_VERSION, modelFingerprint: host.engine.shape.modelFingerprint },
        onHeld: (identity) => instance.#serve(identity),
        onLost: () => instance.#suspend(),
      })
    } catch (error) {
      instance.#endWatch()
      throw error
    }
    return instance
  }

  /** Its latest report; null while it serves nobody. */
  get load(): LoadMessage | null {
    return this.#address === null ? null : this.#parts.monitor.loadOf(this.#address)
  }

  /** Why it cannot take requests; null: it can. */
  get problem(): string | null {
    if (this.#draining || this.load?.draining === true) return 'draining'
    if (this.#address === null) return 'rejoining the cluster'
    return this.#parts.host.isServing ? null : 'the engine is being restarted'
  }

  /** Has routers stop sending and waits until nothing is held here. False when that took longer than the limit. */
  async drain(limitMs: number): Promise<boolean> {
    this.#draining = true
    const limit = AbortSignal.timeout(Math.ceil(limitMs))
    this.#parts.host.tell(MONITOR_ADDRESS, { kind: 'drain' })
    for (;;) {
      if (this.#parts.host.isServing && this.load?.draining === true && holdsNothing(this.load)) return true
      if (limit.aborted || this.#address === null) return this.#address === null
      await this.#parts.monitor.nextReport(limit)
    }
  }

  /** Gives the name back and stops actor and engine. Idempotent. */
  async leave(): Promise<void> {
    this.#endWatch()
    await this.#name?.leave()
    await this.#parts.host.stop()
  }

  async #serve(identity: InstanceIdentity): Promise<void> {
    this.#address = identity.address
    await this.#parts.host.serveAs(identity)
  }

  async #suspend(): Promise<void> {
    this.#address = null
    await this.#parts.host.suspend()
  }
}
