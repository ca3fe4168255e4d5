// Membership over leases on the broker: takes names, and watches those of others. The rules are lease-keeper.ts and
// lease-table.ts; this file feeds them.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Address } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import { isMemberKey, LeaseTable, leaseKey } from '../../lease/lease-table.ts'
import type { LeaseNews } from '../../lease/lease-table.ts'
import type { Lease, Member, MemberEvent, Membership } from '../../membership.ts'
import { speaksSameProtocol } from '../../protocol.ts'
import { guarded } from '../guarded.ts'
import { checkName } from '../subjects.ts'
import { acquireLease } from './held-lease.ts'
import type { HeldLease, LeaseSurroundings } from './held-lease.ts'
import { decodeMember, encodeMember } from './member-record.ts'

/** Beyond the TTL, for a broker that is late to forget. */
const JOIN_SLACK_MS = 500

interface Observation {
  readonly table: LeaseTable
  readonly end: () => void
}

export class NatsMembership implements Membership {
  readonly #surroundings: LeaseSurroundings
  readonly #listeners = new Set<(event: MemberEvent) => void>()
  readonly #held = new Map<Address, HeldLease>()
  #observation: Observation | null = null
  #isClosed = false

  constructor(surroundings: LeaseSurroundings) {
    this.#surroundings = surroundings
  }

  async join(member: Member): Promise<Lease> {
    checkName('--instance-id', member.name)
    const { now, times } = this.#surroundings
    await this.#checkProtocol(member)
    const terms = { key: leaseKey(member), value: encodeMember(member), survivesBroker: true }
    const giveUpMs = now() + times.ttlMs + JOIN_SLACK_MS
    for (;;) {
      const askedMs = now()
      const lease = await acquireLease(this.#surroundings, terms).catch(brokerSilent)
      if (lease !== null) return this.#keep(member, lease)
      // A process that stood still meanwhile asks once more: what it was told is of the past.
      if (askedMs >= giveUpMs) {
        throw new RubatoError('already_exists', `the ${member.kind} name ${member.name} is in use in this cluster: give each process its own`)
      }
      await sleep(times.retryEveryMs)
    }
  }

  watch(listener: (event: MemberEvent) => void): () => void {
    this.#observation ??= this.#observe()
    const { table } = this.#observation
    // Never within watch(); until the listener is added it has missed nothing that table.members() does not have.
    let isWanted = true
    queueMicrotask(() => {
      if (!isWanted) return
      for (const member of table.members()) guarded(() => listener({ kind: 'joined', member }))
      this.#listeners.add(listener)
    })
    return () => {
      isWanted = false
      this.#listeners.delete(listener)
    }
  }

  /** True for the address of a lease of this process that was lost. */
  isFenced(address: Address): boolean {
    return this.#held.get(address)?.isFenced() ?? false
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#observation?.end()
    this.#listeners.clear()
    await Promise.all([...this.#held.values()].map((lease) => lease.release()))
  }

  #keep(member: Member, lease: HeldLease): Lease {
    this.#held.set(member.address, lease)
    // A lease that was lost stays, so that its address stays fenced.
    void lease.lost.then((how) => how === 'released' && this.#held.delete(member.address))
    return lease
  }

  async #checkProtocol(member: Member): Promise<void> {
    const { bucket } = this.#surroundings
    const { keys } = await bucket.snapshot().catch(brokerSilent)
    const stored = await Promise.all([...keys].map((key) => bucket.read(key))).catch(brokerSilent)
    for (const lease of stored) {
      const other = lease === null ? null : decodeMember(lease.value)
      if (other === null || speaksSameProtocol(other.protocol, member.protocol)) continue
      throw new RubatoError('protocol_mismatch', `the cluster speaks protocol ${other.protocol} (${other.kind} ${other.name}), this process ${member.protocol}: run the same major version, or use another --cluster`)
    }
  }

  #observe(): Observation {
    const { bucket, state, times, now } = this.#surroundings
    const table = new LeaseTable(times, now())
    if (!state.isConnected) table.disconnected()
    const endState = state.subscribe((status) => (status === 'connected' ? table.connected(now()) : table.disconnected()))
    const endLeases = bucket.subscribe(({ key, value, revision }) => {
      if (value === null) this.#tell(table.removed(key))
      else this.#put(table, value, revision)
    })
    const stop = new AbortController()
    void this.#poll(table, stop.signal)
    const end = (): void => {
      stop.abort()
      endState()
      endLeases()
    }
    return { table, end }
  }

  async #poll(table: LeaseTable, stop: AbortSignal): Promise<void> {
    const { state, times } = this.#surroundings
    let bucketId: string | null = null
    while (!stop.aborted) {
      if (state.isConnected) {
        // A broker that does not answer tells nothing about anybody.
        bucketId = await this.#pollOnce(table, bucketId).catch(() => bucketId)
      }
      await sleep(times.pollEveryMs, undefined, { signal: stop }).catch(() => {})
    }
  }

  async #pollOnce(table: LeaseTable, lastBucketId: string | null): Promise<string> {
    const { bucket, now } = this.#surroundings
    const askedMs = now()
    const { bucketId, keys } = await bucket.snapshot()
    if (this.#isClosed) return bucketId
    if (lastBucketId !== null && bucketId !== lastBucketId) table.connected(now())
    await Promise.all([...keys].filter((key) => isMemberKey(key) && !table.has(key)).map(async (key) => {
      const stored = await bucket.read(key)
      if (stored !== null && !table.has(key)) this.#put(table, stored.value, stored.revision)
    }))
    this.#tell(table.polled(askedMs, keys))
    return bucketId
  }

  #put(table: LeaseTable, value: string, revision: number): void {
    const member = decodeMember(value)
    if (member !== null) this.#tell(table.put(member, this.#surroundings.now()), revision)
  }

  #tell(news: readonly LeaseNews[], revision = 0): void {
    if (this.#isClosed) return
    for (const event of news) {
      if (event.kind === 'evict') void this.#surroundings.bucket.remove(event.key, revision).catch(() => {})
      else for (const listener of this.#listeners) guarded(() => listener(event))
    }
  }
}

function brokerSilent(cause: unknown): never {
  throw new RubatoError('nats_unavailable', 'the NATS server does not answer about leases: is JetStream up?', { retryable: true, cause })
}
