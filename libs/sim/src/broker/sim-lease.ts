// One lease held on the simulated broker: renewed as its keeper says, until it is lost or given back.
import { LeaseKeeper } from '@rubato/bus/lease'
import type { LeaseTimes } from '@rubato/bus/lease'
import type { SimProcess } from '../process/sim-process.ts'
import type { BrokerLink } from './broker-link.ts'
import type { LeaseHolder, SimBroker } from './sim-broker.ts'

export interface LeaseSurroundings {
  readonly process: SimProcess
  readonly link: BrokerLink
  readonly broker: SimBroker
  readonly times: LeaseTimes
}

export interface LeaseTerms {
  readonly key: string
  readonly holder: LeaseHolder
  /** Takes the lease again when the broker died and forgot it; false: that ends it. */
  readonly survivesBroker: boolean
}

interface Acquired {
  readonly revision: number
  readonly bucketId: number
  /** When the request that acquired it was sent. */
  readonly sentMs: number
}

export type Acquisition =
  | { readonly kind: 'held'; readonly lease: SimLease }
  | { readonly kind: 'taken' }
  /** The broker did not answer. */
  | { readonly kind: 'unanswered' }

/** Asks for the lease once. `onLost` runs once, when it cannot be trusted any more or was given back. */
export function acquireLease(surroundings: LeaseSurroundings, terms: LeaseTerms, settled: (acquisition: Acquisition) => void, onLost: (how: 'released' | 'fenced') => void): void {
  const { process, link, broker } = surroundings
  const sentMs = process.nowMs()
  link.request(() => broker.create(terms.key, terms.holder) ?? ('taken' as const), (answer) => {
    if (answer === null) settled({ kind: 'unanswered' })
    else if (answer === 'taken') settled({ kind: 'taken' })
    else settled({ kind: 'held', lease: new SimLease(surroundings, terms, { ...answer, sentMs }, onLost) })
  })
}

export class SimLease {
  readonly #surroundings: LeaseSurroundings
  readonly #terms: LeaseTerms
  readonly #keeper: LeaseKeeper
  readonly #onLost: (how: 'released' | 'fenced') => void
  readonly #unsubscribe: () => void
  #revision: number
  #bucketId: number
  #cancelTimer: (() => void) | null = null
  /** Rises with every renewal begun: the answer to an older one is ignored. */
  #attempt = 0
  #isUnderWay = false
  #isOver = false

  constructor(surroundings: LeaseSurroundings, terms: LeaseTerms, { revision, bucketId, sentMs }: Acquired, onLost: (how: 'released' | 'fenced') => void) {
    const { process, link, times } = surroundings
    this.#surroundings = surroundings
    this.#terms = terms
    this.#keeper = new LeaseKeeper(times, sentMs)
    this.#onLost = onLost
    this.#revision = revision
    this.#bucketId = bucketId
    this.#unsubscribe = link.onStatus((status) => {
      if (status === 'connected') {
        this.#isUnderWay = false
        this.#keeper.connected(process.nowMs())
      } else this.#keeper.disconnected(process.nowMs())
      this.#step()
    })
    if (!link.isConnected) this.#keeper.disconnected(process.nowMs())
    this.#step()
  }

  /** By the holder's own clock: nobody else can have it yet. */
  isCertainlyHeld(nowMs: number): boolean {
    return this.#keeper.isCertainlyHeld(nowMs)
  }

  /** Looks at the clock too, so that a process that stood still knows before it does anything else. */
  isFenced(): boolean {
    if (this.#keeper.check(this.#surroundings.process.nowMs()) !== 'fenced') return false
    this.#finish('fenced')
    return true
  }

  /** Gives the name back at once. Idempotent. */
  release(): void {
    this.#keeper.release()
    this.#step()
  }

  #step(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    if (this.#isOver) return
    const { process, times } = this.#surroundings
    const nowMs = process.nowMs()
    const phase = this.#keeper.check(nowMs)
    if (phase !== 'held') return this.#finish(phase)
    if (!this.#isUnderWay && this.#keeper.isRenewalDue(nowMs)) this.#renew(nowMs)
    // While a renewal is under way only the fence is waited for, which is at most a renewal period too early.
    const wakeMs = this.#isUnderWay ? times.retryEveryMs : this.#keeper.nextWakeInMs(nowMs)
    if (wakeMs !== null) this.#cancelTimer = process.schedule(wakeMs, () => this.#step())
  }

  #renew(sentMs: number): void {
    const { broker, link, process } = this.#surroundings
    this.#attempt += 1
    const attempt = this.#attempt
    const terms = { ...this.#terms, revision: this.#revision, bucketId: this.#bucketId }
    this.#isUnderWay = true
    this.#keeper.renewalSent(sentMs)
    link.request(() => broker.renew(terms), (answer) => {
      if (attempt !== this.#attempt || this.#isOver) return
      this.#isUnderWay = false
      if (answer === null) this.#keeper.renewalUnanswered(process.nowMs())
      else if (answer.kind === 'refused') this.#keeper.refused()
      else {
        this.#revision = answer.revision
        this.#bucketId = answer.bucketId
        this.#keeper.renewed(sentMs)
      }
      this.#step()
    })
  }

  #finish(phase: 'fenced' | 'released'): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelTimer?.()
    this.#unsubscribe()
    this.#free()
    // Never within whatever asked: an actor does not end in the middle of its own turn.
    this.#surroundings.process.schedule(0, () => this.#onLost(phase))
  }

  /** Frees the name at once for the next holder; without a connection the lease lapses by itself. */
  #free(): void {
    const { broker, link } = this.#surroundings
    const { key, holder } = this.#terms
    if (!link.isConnected) return
    // A renewal under way may have changed the revision: what is removed is whatever this holder stored last.
    const remove = (): void => {
      const stored = broker.read(key)
      if (stored?.holder === holder) broker.remove(key, stored.revision)
    }
    link.request(remove, () => {})
  }
}
