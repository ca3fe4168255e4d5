// Keeps one name of this process in the cluster: under a lease, and under a new address each time the lease was lost.
//
//   joining ──> held ──fenced──> (actor ends) ──> joining ...
//      └─ name in use, other protocol: fatal        └─ leave(): released
//
// 1. onHeld runs once per stay, after its lease was taken; onLost once per stay that was fenced, before the next join.
// 2. No two stays share an address.
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lease, Member, Membership } from '@rubato/bus'
import { RubatoError } from '@rubato/config'
import type { InstanceIdentity } from '../instance-host.ts'
import type { ProcessLog } from '../process/process-log.ts'

export interface KeptNameOptions {
  readonly membership: Pick<Membership, 'join'>
  readonly member: Omit<Member, 'address'>
  readonly log: ProcessLog
  readonly onHeld: (identity: InstanceIdentity) => void | Promise<void>
  /** Must stop whatever acts under the name. */
  readonly onLost: () => void | Promise<void>
  /** The name cannot be had any more: somebody else took it meanwhile. */
  readonly onFatal: (error: Error) => void
}

const RETRY_MS = 500

/** `<name>@<nonce>`, the nonce new for each stay. */
function newIdentity({ kind, name }: Pick<Member, 'kind' | 'name'>): InstanceIdentity {
  const instanceId = `${name}@${randomBytes(5).toString('hex')}`
  return { instanceId, address: `${kind}/${instanceId}` }
}

export class KeptName {
  readonly #options: KeptNameOptions
  readonly #abort = new AbortController()
  #lease: Lease | null = null
  #running: Promise<void> = Promise.resolve()

  private constructor(options: KeptNameOptions) {
    this.#options = options
  }

  /** Joins and keeps the name from then on. Rejects as Membership.join does. */
  static async take(options: KeptNameOptions): Promise<KeptName> {
    const kept = new KeptName(options)
    const identity = newIdentity(options.member)
    kept.#lease = await options.membership.join({ ...options.member, address: identity.address })
    await options.onHeld(identity)
    kept.#running = kept.#keep(kept.#lease)
    return kept
  }

  get isHeld(): boolean {
    return this.#lease !== null
  }

  /** Gives the name back. Idempotent; resolves also when the bus is down. */
  async leave(): Promise<void> {
    this.#abort.abort()
    await this.#lease?.release()
    await this.#running
  }

  async #keep(first: Lease): Promise<void> {
    const { member, log, onLost, onFatal } = this.#options
    let lease: Lease | null = first
    while (lease !== null && (await lease.lost) === 'fenced' && !this.#abort.signal.aborted) {
      this.#lease = null
      log.warn({ name: member.name }, 'the lease was not renewed in time: starting anew under a new address')
      await onLost()
      lease = await this.#rejoin().catch((error: unknown) => {
        onFatal(error instanceof Error ? error : new Error(String(error)))
        return null
      })
    }
  }

  /** null: the process is leaving. Rejects when the name is lost for good. */
  async #rejoin(): Promise<Lease | null> {
    const { membership, member, log, onHeld } = this.#options
    while (!this.#abort.signal.aborted) {
      const identity = newIdentity(member)
      try {
        const lease = await membership.join({ ...member, address: identity.address })
        this.#lease = lease
        if (this.#abort.signal.aborted) await lease.release()
        else await onHeld(identity)
        return lease
      } catch (error) {
        if (!(error instanceof RubatoError) || !error.retryable) throw error
        log.warn({ err: error, name: member.name }, 'cannot rejoin the cluster yet')
        await delay(RETRY_MS, undefined, { signal: this.#abort.signal }).catch(() => {})
      }
    }
    return null
  }
}
