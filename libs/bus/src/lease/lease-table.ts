// The observer's side of leases, without I/O: who is a member, and when one is to be told gone.
//
// 1. A member is told gone once per stay. Its address is remembered: who comes back under it is evicted, never told joined.
// 2. Expired means: no renewal seen for a TTL, and a poll begun after that, on an unbroken connection that is older than the
//    grace, found the broker without the lease. While disconnected nobody expires.
// 3. An observer that was itself stopped judges nobody by its own clock: what it missed reaches it before the poll's answer.
import type { Address } from '@rubato/actor'
import type { Member, MemberEvent } from '../membership.ts'
import type { LeaseTimes } from './lease-rules.ts'

export type LeaseNews =
  | MemberEvent
  /** The member came back after it had been told gone: its lease is to be taken from it, so that it joins anew. */
  | { readonly kind: 'evict'; readonly key: string }

interface Entry {
  readonly member: Member
  deadlineMs: number
}

const MAX_REMEMBERED = 10_000
const NO_NEWS: readonly LeaseNews[] = []

/** Where a member's lease is kept: `instance.d1`. A dot in a name, which separates the parts of a key, becomes `=`. */
export function leaseKey({ kind, name }: Pick<Member, 'kind' | 'name'>): string {
  return `${kind}.${name.replaceAll('.', '=')}`
}

/** Leases of leaders and whatever comes later are kept beside those of members. */
export function isMemberKey(key: string): boolean {
  return key.startsWith('router.') || key.startsWith('instance.') || key.startsWith('speculator.')
}

export class LeaseTable {
  readonly #times: LeaseTimes
  readonly #entries = new Map<string, Entry>()
  /** The same entries: a renewal, nearly all there is to tell, is found without making a key. */
  readonly #byAddress = new Map<Address, Entry>()
  readonly #goneAddresses = new Set<Address>()
  /** null: disconnected. */
  #graceEndMs: number | null

  /** An observer that connected at `nowMs`. */
  constructor(times: LeaseTimes, nowMs: number) {
    this.#times = times
    this.#graceEndMs = nowMs
  }

  members(): readonly Member[] {
    return [...this.#entries.values()].map((entry) => entry.member)
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  /** Connected again, or all leases were lost with the broker: everybody gets the grace to come back. */
  connected(nowMs: number): void {
    this.#graceEndMs = nowMs + this.#times.graceMs
  }

  disconnected(): void {
    this.#graceEndMs = null
  }

  /** A lease was taken or renewed. */
  put(member: Member, nowMs: number): readonly LeaseNews[] {
    const deadlineMs = nowMs + this.#times.ttlMs
    const renewed = this.#byAddress.get(member.address)
    if (renewed !== undefined) {
      renewed.deadlineMs = deadlineMs
      return NO_NEWS
    }
    const key = leaseKey(member)
    if (this.#goneAddresses.has(member.address)) return [{ kind: 'evict', key }]
    const former = this.#entries.get(key)
    const news = former === undefined ? [] : [this.#goneAs(key, former, 'replaced')]
    const entry = { member, deadlineMs }
    this.#entries.set(key, entry)
    this.#byAddress.set(member.address, entry)
    return [...news, { kind: 'joined', member }]
  }

  /** A lease was given back. */
  removed(key: string): readonly LeaseNews[] {
    const entry = this.#entries.get(key)
    return entry === undefined ? [] : [this.#goneAs(key, entry, 'released')]
  }

  /** The broker's answer to a question asked at `askedMs`: the leases it has. */
  polled(askedMs: number, present: ReadonlySet<string>): readonly LeaseNews[] {
    const graceEndMs = this.#graceEndMs
    if (graceEndMs === null || askedMs < graceEndMs) return []
    const expired = [...this.#entries].filter(([key, { deadlineMs }]) => askedMs >= deadlineMs && !present.has(key))
    return expired.map(([key, entry]) => this.#goneAs(key, entry, 'expired'))
  }

  #goneAs(key: string, { member }: Entry, reason: 'released' | 'expired' | 'replaced'): LeaseNews {
    this.#entries.delete(key)
    this.#byAddress.delete(member.address)
    this.#goneAddresses.add(member.address)
    // Sets keep insertion order: the oldest is forgotten.
    if (this.#goneAddresses.size > MAX_REMEMBERED) for (const oldest of this.#goneAddresses) { this.#goneAddresses.delete(oldest); break }
    return { kind: 'gone', member, reason }
  }
}
