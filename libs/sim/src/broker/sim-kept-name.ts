// Keeps one name of a simulated process in the cluster: under a lease, and under a new address each time the lease was lost.
//
//   joining ──> held ──fenced──> (actor ends) ──> joining ...
//      └─ name in use: fatal
//
// 1. onHeld runs once per stay, after its lease was taken; onLost once per stay that was fenced, before the next join.
// 2. No two stays share an address.
import type { Member } from '@rubato/bus'
import type { SimProcess } from '../process/sim-process.ts'
import type { SimLease } from './sim-lease.ts'
import type { SimMembership } from './sim-membership.ts'

/** As whom it acts: `<name>@<nonce>`. */
export interface SimIdentity {
  readonly id: string
  readonly address: string
}

export interface SimKeptNameOptions {
  readonly process: SimProcess
  readonly membership: SimMembership
  readonly member: Omit<Member, 'address'>
  /** A nonce that no stay of the whole simulation had before. */
  readonly nextNonce: () => number
  readonly onHeld: (identity: SimIdentity) => void
  /** Must stop whatever acts under the name. */
  readonly onLost: () => void
  /** The name cannot be had: somebody else has it. */
  readonly onFatal: (error: Error) => void
}

const RETRY_MS = 500

export class SimKeptName {
  readonly #options: SimKeptNameOptions
  #lease: SimLease | null = null
  #isLeaving = false

  /** Joins, and keeps the name from then on. */
  constructor(options: SimKeptNameOptions) {
    this.#options = options
    this.#join()
  }

  /** Gives the name back. Idempotent. */
  leave(): void {
    this.#isLeaving = true
    this.#lease?.release()
  }

  #join(): void {
    const { membership, member, nextNonce, onFatal, onHeld, onLost, process } = this.#options
    if (this.#isLeaving) return
    const id = `${member.name}@${nextNonce()}`
    const address = `${member.kind}/${id}`
    membership.join({ ...member, address }, {
      onHeld: (lease) => {
        this.#lease = lease
        if (this.#isLeaving) lease.release()
        else onHeld({ id, address })
      },
      onRefused: (code) => {
        if (code === 'nats_unavailable') process.schedule(RETRY_MS, () => this.#join())
        else onFatal(new Error(`the ${member.kind} name ${member.name} is in use in this cluster`))
      },
      onLost: (how) => {
        this.#lease = null
        if (how === 'released') return
        onLost()
        this.#join()
      },
    })
  }
}
