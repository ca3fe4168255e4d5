// The leases of a simulated cluster as a NATS server keeps them: a memory bucket whose entries vanish at their TTL.
//
// 1. Every write names the revision that it replaces, so that only one of two writers succeeds.
// 2. A restart loses the bucket; the next one has another id.
// 3. A change is published after it was stored; nothing is published when a lease lapses.
// 4. A lease that was given back leaves a mark among the keys until its TTL, and may be taken at once.
import type { Member } from '@rubato/bus'
import type { SimWorld } from '../sim-world.ts'
import type { BrokerLink } from './broker-link.ts'

/** Who holds a lease: a member, or the candidate that leads. One object per stay, told apart by identity. */
export type LeaseHolder = Member | { readonly candidate: string }

export interface LeaseChange {
  readonly key: string
  /** null: the lease was given back. */
  readonly holder: LeaseHolder | null
  readonly revision: number
}

export interface StoredLease {
  readonly holder: LeaseHolder
  readonly revision: number
}

export interface LeaseSnapshot {
  readonly bucketId: number
  /** Those given back of late among them. */
  readonly keys: ReadonlySet<string>
}

export type Renewal =
  | { readonly kind: 'renewed'; readonly revision: number; readonly bucketId: number }
  | { readonly kind: 'refused' }

export interface RenewalTerms {
  readonly key: string
  readonly holder: LeaseHolder
  readonly revision: number
  /** Where `revision` is from. */
  readonly bucketId: number
  /** The lease is taken again where the broker died and forgot it. */
  readonly survivesBroker: boolean
}

interface Entry {
  readonly holder: LeaseHolder | null
  readonly revision: number
  readonly storedMs: number
}

/** What publishing takes, one way, to everybody. */
const PUBLISH_MS = 0.2

export class SimBroker {
  readonly #world: SimWorld
  readonly #ttlMs: number
  readonly #links = new Set<BrokerLink>()
  /** Oldest first: a write puts its key at the end. */
  readonly #entries = new Map<string, Entry>()
  /** The keys as they are; null: not asked for since they changed. */
  #keys: ReadonlySet<string> | null = null
  #bucketId = 1
  #revision = 0
  #isUp = true

  constructor({ world, ttlMs }: { readonly world: SimWorld; readonly ttlMs: number }) {
    this.#world = world
    this.#ttlMs = ttlMs
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** A process connects; its connection tells it of changes and of the broker's restarts until closed. */
  attach(link: BrokerLink): () => void {
    this.#links.add(link)
    return () => void this.#links.delete(link)
  }

  /** All leases are lost; nobody can reach it for so long. */
  restart(downMs: number): void {
    if (!this.#isUp) return
    this.#isUp = false
    this.#bucketId += 1
    this.#entries.clear()
    this.#keys = null
    for (const link of this.#links) link.reachChanged()
    this.#world.schedule(downMs, () => {
      this.#isUp = true
      for (const link of this.#links) link.reachChanged()
    })
  }

  /** The revision; null: the key is taken. */
  create(key: string, holder: LeaseHolder): { readonly revision: number; readonly bucketId: number } | null {
    this.#expire()
    if ((this.#entries.get(key)?.holder ?? null) !== null) return null
    return { revision: this.#store(key, holder), bucketId: this.#bucketId }
  }

  /** Renews what its holder acquired: also where an earlier renewal was stored and its answer lost. */
  renew({ key, holder, revision, bucketId, survivesBroker }: RenewalTerms): Renewal {
    this.#expire()
    const entry = this.#entries.get(key)
    const isThere = entry !== undefined && entry.holder !== null
    if (isThere && entry.revision !== revision && entry.holder !== holder) return { kind: 'refused' }
    if (!isThere && (bucketId === this.#bucketId || !survivesBroker)) return { kind: 'refused' }
    return { kind: 'renewed', revision: this.#store(key, holder), bucketId: this.#bucketId }
  }

  /** Gives the lease back unless it changed since `revision`. */
  remove(key: string, revision: number): void {
    this.#expire()
    if (this.#entries.get(key)?.revision === revision) this.#store(key, null)
  }

  read(key: string): StoredLease | null {
    this.#expire()
    const entry = this.#entries.get(key)
    return entry === undefined || entry.holder === null ? null : { holder: entry.holder, revision: entry.revision }
  }

  snapshot(): LeaseSnapshot {
    this.#expire()
    this.#keys ??= new Set(this.#entries.keys())
    return { bucketId: this.#bucketId, keys: this.#keys }
  }

  #expire(): void {
    const deadMs = this.#world.nowMs() - this.#ttlMs
    for (const [key, { storedMs }] of this.#entries) {
      if (storedMs > deadMs) return
      this.#entries.delete(key)
      this.#keys = null
    }
  }

  #store(key: string, holder: LeaseHolder | null): number {
    this.#revision += 1
    const revision = this.#revision
    if (!this.#entries.delete(key)) this.#keys = null
    this.#entries.set(key, { holder, revision, storedMs: this.#world.nowMs() })
    this.#world.schedule(PUBLISH_MS, () => {
      for (const link of this.#links) link.published({ key, holder, revision })
    })
    return revision
  }
}
