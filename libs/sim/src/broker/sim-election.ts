// Leader election on the simulated leases: one key per role.
//
// 1. A leader acts only while `isLeader`: within its own lease by its own clock, connected or not.
// 2. A candidate waits a TTL after it first saw a bucket before it takes a key there: a broker that restarted has forgotten a
//    leader whose clock still says that it leads. For the same reason a leader does not keep its lease over that.
import { acquireLease } from './sim-lease.ts'
import type { LeaseSurroundings, LeaseTerms, SimLease } from './sim-lease.ts'

export class SimElection {
  readonly #surroundings: LeaseSurroundings
  readonly #terms: LeaseTerms
  #held: SimLease | null = null
  #bucket: { readonly id: number; readonly firstSeenMs: number } | null = null

  /** Stands for a role for as long as the process lives. */
  constructor(surroundings: LeaseSurroundings, { role, candidate }: { readonly role: string; readonly candidate: string }) {
    this.#surroundings = surroundings
    this.#terms = { key: `leader.${role}`, holder: { candidate }, survivesBroker: false }
    this.#campaign()
  }

  /** Asked before every act. */
  isLeader(nowMs: number): boolean {
    return this.#held?.isCertainlyHeld(nowMs) ?? false
  }

  #campaign(): void {
    const { broker, link, process, times } = this.#surroundings
    const again = (): void => void process.schedule(times.pollEveryMs, () => this.#campaign())
    link.request(() => broker.snapshot().bucketId, (id) => {
      if (id === null) return again()
      if (this.#bucket?.id !== id) this.#bucket = { id, firstSeenMs: process.nowMs() }
      if (process.nowMs() - this.#bucket.firstSeenMs < times.ttlMs) return again()
      acquireLease(this.#surroundings, this.#terms, (acquisition) => {
        if (acquisition.kind === 'held') this.#held = acquisition.lease
        else again()
      }, () => {
        this.#held = null
        this.#campaign()
      })
    })
  }
}
