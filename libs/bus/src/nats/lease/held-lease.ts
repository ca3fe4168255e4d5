// One lease held on the broker: renews it as its keeper says, until it is lost or given back.
//
//   update ok ------------------------------------------------> renewed
//   update refused -> stored: ours, of an unanswered renewal --> update again
//                     stored: somebody else's -----------------> fenced
//                     nothing, same bucket: it lapsed ---------> fenced
//                     nothing, new bucket: the broker died ----> create, where the holder may keep its lease over that
import type { LeaseTimes } from '../../lease/lease-rules.ts'
import { LeaseKeeper } from '../../lease/lease-keeper.ts'
import type { Lease } from '../../membership.ts'
import type { ConnectionState } from '../connection-state.ts'
import type { LeaseBucket } from './lease-bucket.ts'

export interface LeaseSurroundings {
  readonly bucket: LeaseBucket
  readonly state: ConnectionState
  readonly times: LeaseTimes
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** A lease as it was acquired. */
interface Acquired {
  readonly revision: number
  readonly bucketId: string
  /** When the request that acquired it was sent. */
  readonly sentMs: number
}

export interface LeaseTerms {
  readonly key: string
  readonly value: string
  /** Takes the lease again when the broker died and forgot it; false: that ends it. */
  readonly survivesBroker: boolean
}

type Renewal = 'renewed' | 'refused' | 'unanswered'

/** Creates the lease; null when the key is taken. Rejects when the broker does not answer. */
export async function acquireLease(surroundings: LeaseSurroundings, terms: LeaseTerms): Promise<HeldLease | null> {
  const { bucketId } = await surroundings.bucket.snapshot()
  const sentMs = surroundings.now()
  const revision = await surroundings.bucket.create(terms.key, terms.value)
  return revision === null ? null : new HeldLease(surroundings, terms, { revision, bucketId, sentMs })
}

export class HeldLease implements Lease {
  readonly lost: Promise<'released' | 'fenced'>
  readonly #surroundings: LeaseSurroundings
  readonly #keeper: LeaseKeeper
  readonly #terms: LeaseTerms
  readonly #end = Promise.withResolvers<'released' | 'fenced'>()
  readonly #unsubscribe: () => void
  #revision: number
  #bucketId: string
  #timer: NodeJS.Timeout | undefined
  /** Rises with every renewal begun: the answer to an older one is ignored. */
  #attempt = 0
  #underWay: Promise<void> | null = null
  #removal: Promise<void> | null = null

  constructor(surroundings: LeaseSurroundings, terms: LeaseTerms, { revision, bucketId, sentMs }: Acquired) {
    this.lost = this.#end.promise
    this.#surroundings = surroundings
    this.#keeper = new LeaseKeeper(surroundings.times, sentMs)
    this.#terms = terms
    this.#revision = revision
    this.#bucketId = bucketId
    this.#unsubscribe = surroundings.state.subscribe((status) => {
      if (status === 'connected') {
        this.#underWay = null
        this.#keeper.connected(surroundings.now())
      } else {
        this.#keeper.disconnected(surroundings.now())
      }
      this.#step()
    })
    if (!surroundings.state.isConnected) this.#keeper.disconnected(surroundings.now())
    this.#step()
  }

  /** By the holder's own clock: nobody else can have it yet. */
  isCertainlyHeld(nowMs: number): boolean {
    return this.#keeper.isCertainlyHeld(nowMs)
  }

  /** Looks at the clock too, so that a process that was stopped knows before it does anything else. */
  isFenced(): boolean {
    if (this.#keeper.check(this.#surroundings.now()) !== 'fenced') return false
    this.#finish('fenced')
    return true
  }

  async release(): Promise<void> {
    this.#keeper.release()
    this.#step()
    await this.#removal
  }

  #step(): void {
    clearTimeout(this.#timer)
    const { now } = this.#surroundings
    const phase = this.#keeper.check(now())
    if (phase !== 'held') return this.#finish(phase)
    if (this.#underWay === null && this.#keeper.isRenewalDue(now())) this.#underWay = this.#renew()
    // While a renewal is under way only the fence is waited for, which is at most a renewal period too early.
    const wakeMs = this.#underWay === null ? this.#keeper.nextWakeInMs(now()) : this.#surroundings.times.retryEveryMs
    if (wakeMs !== null) this.#timer = setTimeout(() => this.#step(), Math.ceil(wakeMs))
  }

  #finish(phase: 'fenced' | 'released'): void {
    if (this.#removal !== null) return
    clearTimeout(this.#timer)
    this.#unsubscribe()
    this.#end.resolve(phase)
    this.#removal = this.#remove()
  }

  /** Frees the name at once for the next holder; without an answer the lease lapses by itself. */
  async #remove(): Promise<void> {
    const { bucket, state } = this.#surroundings
    if (!state.isConnected) return
    // A renewal under way decides which revision there is to remove.
    await this.#underWay
    await bucket.remove(this.#terms.key, this.#revision).catch(() => {})
  }

  async #renew(): Promise<void> {
    const { now } = this.#surroundings
    const attempt = ++this.#attempt
    const sentMs = now()
    this.#keeper.renewalSent(sentMs)
    const outcome = await this.#askBroker().catch((): Renewal => 'unanswered')
    if (attempt !== this.#attempt) return
    this.#underWay = null
    if (outcome === 'renewed') this.#keeper.renewed(sentMs)
    else if (outcome === 'refused') this.#keeper.refused()
    else this.#keeper.renewalUnanswered(now())
    if (this.#removal === null) this.#step()
  }

  async #askBroker(): Promise<Renewal> {
    if (await this.#update()) return 'renewed'
    const { bucket } = this.#surroundings
    const { key, value, survivesBroker } = this.#terms
    const stored = await bucket.read(key)
    if (stored !== null) {
      if (stored.value !== value) return 'refused'
      this.#revision = stored.revision
      return await this.#update() ? 'renewed' : 'unanswered'
    }
    const { bucketId } = await bucket.snapshot()
    if (bucketId === this.#bucketId || !survivesBroker) return 'refused'
    const revision = await bucket.create(key, value)
    if (revision === null) return 'unanswered'
    this.#revision = revision
    this.#bucketId = bucketId
    return 'renewed'
  }

  async #update(): Promise<boolean> {
    const revision = await this.#surroundings.bucket.update(this.#terms.key, this.#terms.value, this.#revision)
    if (revision !== null) this.#revision = revision
    return revision !== null
  }
}
