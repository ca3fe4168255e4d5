// Membership of one simulated process: takes names under leases, and watches those of others. The rules are those of the live
// cluster (@rubato/bus/lease); this file feeds them.
//
// 1. A name has one holder at a time. Each stay under it has its own address, never used again.
// 2. A member is told gone once per stay: given back, or expired while this observer was connected.
import type { Address } from '@rubato/actor'
import type { Member, MemberEvent } from '@rubato/bus'
import { isMemberKey, LeaseTable, leaseKey } from '@rubato/bus/lease'
import type { LeaseNews } from '@rubato/bus/lease'
import type { LeaseChange, LeaseHolder } from './sim-broker.ts'
import { acquireLease } from './sim-lease.ts'
import type { LeaseSurroundings, SimLease } from './sim-lease.ts'

export interface JoinHandlers {
  readonly onHeld: (lease: SimLease) => void
  /** already_exists: somebody else has the name. nats_unavailable: the broker does not answer; try again. */
  readonly onRefused: (code: 'already_exists' | 'nats_unavailable') => void
  /** The lease cannot be trusted any more, or was given back. */
  readonly onLost: (how: 'released' | 'fenced') => void
}

/** Beyond the TTL, for a broker that is late to forget. */
const JOIN_SLACK_MS = 500

export class SimMembership {
  readonly #surroundings: LeaseSurroundings
  readonly #listeners = new Set<(event: MemberEvent) => void>()
  readonly #held = new Map<Address, SimLease>()
  #table: LeaseTable | null = null
  #bucketId: number | null = null
  /** Keys of the broker of which none was new, until somebody is gone from the table: then they are looked through again. */
  #knownKeys: ReadonlySet<string> | null = null

  constructor(surroundings: LeaseSurroundings) {
    this.#surroundings = surroundings
  }

  /** Takes the name; waits for an expiring lease of a former holder. */
  join(member: Member, { onHeld, onRefused, onLost }: JoinHandlers): void {
    const { process, times } = this.#surroundings
    const terms = { key: leaseKey(member), holder: member, survivesBroker: true }
    const giveUpMs = process.nowMs() + times.ttlMs + JOIN_SLACK_MS
    const lost = (how: 'released' | 'fenced'): void => {
      // A lease that was lost stays, so that its address stays fenced.
      if (how === 'released') this.#held.delete(member.address)
      onLost(how)
    }
    // A process that stood still between question and answer asks once more: what it was told is of the past.
    const attempt = (askedMs = process.nowMs()): void => acquireLease(this.#surroundings, terms, (acquisition) => {
      if (acquisition.kind === 'held') {
        this.#held.set(member.address, acquisition.lease)
        onHeld(acquisition.lease)
      } else if (acquisition.kind === 'unanswered') onRefused('nats_unavailable')
      else if (askedMs >= giveUpMs) onRefused('already_exists')
      else process.schedule(times.retryEveryMs, () => attempt())
    }, lost)
    attempt()
  }

  /** Tells the members there are, soon, then every change. Returns its end. */
  watch(listener: (event: MemberEvent) => void): () => void {
    const table = this.#observe()
    const cancel = this.#surroundings.process.schedule(0, () => {
      for (const member of table.members()) listener({ kind: 'joined', member })
      this.#listeners.add(listener)
    })
    return () => {
      cancel()
      this.#listeners.delete(listener)
    }
  }

  /** True for the address of a lease of this process that was lost. */
  isFenced(address: Address): boolean {
    return this.#held.get(address)?.isFenced() ?? false
  }

  #observe(): LeaseTable {
    if (this.#table !== null) return this.#table
    const { link, process, times } = this.#surroundings
    const table = new LeaseTable(times, process.nowMs())
    this.#table = table
    if (!link.isConnected) table.disconnected()
    link.onStatus((status) => (status === 'connected' ? table.connected(process.nowMs()) : table.disconnected()))
    link.onChange((change) => this.#take(table, change))
    this.#poll(table)
    return table
  }

  #take(table: LeaseTable, { key, holder, revision }: LeaseChange): void {
    if (holder === null) this.#tell(table.removed(key))
    else this.#put(table, holder, revision)
  }

  #poll(table: LeaseTable): void {
    const { broker, link, process, times } = this.#surroundings
    const again = (): void => void process.schedule(times.pollEveryMs, () => this.#poll(table))
    if (!link.isConnected) return again()
    const askedMs = process.nowMs()
    const ask = () => {
      const { bucketId, keys } = broker.snapshot()
      if (keys === this.#knownKeys) return { bucketId, keys, stored: [] }
      const unknown = [...keys].filter((key) => isMemberKey(key) && !table.has(key))
      if (unknown.length === 0) this.#knownKeys = keys
      return { bucketId, keys, stored: unknown.map((key) => broker.read(key)) }
    }
    link.request(ask, (answer) => {
      again()
      // A broker that does not answer tells nothing about anybody.
      if (answer === null) return
      const { bucketId, keys, stored } = answer
      if (this.#bucketId !== null && bucketId !== this.#bucketId) table.connected(process.nowMs())
      this.#bucketId = bucketId
      for (const lease of stored) if (lease !== null) this.#put(table, lease.holder, lease.revision)
      this.#tell(table.polled(askedMs, keys))
    })
  }

  #put(table: LeaseTable, holder: LeaseHolder, revision: number): void {
    if ('address' in holder) this.#tell(table.put(holder, this.#surroundings.process.nowMs()), revision)
  }

  #tell(news: readonly LeaseNews[], revision = 0): void {
    const { broker, link } = this.#surroundings
    for (const event of news) {
      if (event.kind === 'gone') this.#knownKeys = null
      if (event.kind === 'evict') link.request(() => broker.remove(event.key, revision), () => {})
      else for (const listener of this.#listeners) listener(event)
    }
  }
}
