// Leader election on the same leases: one key per role.
//
// 1. A leader acts only while `isLeader(nowMs)`: within its own lease by its own monotonic clock, connected or not.
// 2. A candidate waits a TTL after it first saw a bucket before it takes a key there: a broker that restarted has forgotten
//    a leader whose clock still says that it leads. For the same reason a leader does not keep its lease over that.
import { setTimeout as sleep } from 'node:timers/promises'
import { checkName } from '../subjects.ts'
import { acquireLease } from './held-lease.ts'
import type { HeldLease, LeaseSurroundings } from './held-lease.ts'

export interface ElectionOptions {
  /** What is led: `migrator`. */
  readonly role: string
  /** Who stands: unique in the cluster and to this process life. */
  readonly candidate: string
}

export interface Election {
  /** Ask before every act. `nowMs`: of the clock given to connectNats. */
  isLeader(nowMs: number): boolean
  /** Gives the lead back and stands no more. */
  resign(): Promise<void>
}

/** Stands for a role until it resigns; loses and wins the lead as leases go. */
export function electLeader(surroundings: LeaseSurroundings, { role, candidate }: ElectionOptions): Election {
  const terms = { key: leaderKey(role), value: JSON.stringify({ candidate }), survivesBroker: false }
  let held: HeldLease | null = null
  const stop = new AbortController()
  const campaign = async (): Promise<void> => {
    const waiting = new BucketWait(surroundings)
    while (!stop.signal.aborted) {
      held = await waiting.isOver() ? await acquireLease(surroundings, terms).catch(() => null) : null
      if (held === null) await sleep(surroundings.times.pollEveryMs, undefined, { signal: stop.signal }).catch(() => {})
      else if (stop.signal.aborted) await held.release()
      else await held.lost
    }
  }
  const ended = campaign()
  return {
    isLeader: (nowMs) => !stop.signal.aborted && (held?.isCertainlyHeld(nowMs) ?? false),
    resign: async () => {
      stop.abort()
      await held?.release()
      await ended
    },
  }
}

function leaderKey(role: string): string {
  return `leader.${checkName('role', role).replaceAll('.', '=')}`
}

/** Rule 2. */
class BucketWait {
  readonly #surroundings: LeaseSurroundings
  #bucketId: string | null = null
  #firstSeenMs = 0

  constructor(surroundings: LeaseSurroundings) {
    this.#surroundings = surroundings
  }

  /** False too while the broker does not answer. */
  async isOver(): Promise<boolean> {
    const { bucket, now, times } = this.#surroundings
    const snapshot = await bucket.snapshot().catch(() => null)
    if (snapshot === null) return false
    if (snapshot.bucketId !== this.#bucketId) {
      this.#bucketId = snapshot.bucketId
      this.#firstSeenMs = now()
    }
    return now() - this.#firstSeenMs >= times.ttlMs
  }
}
