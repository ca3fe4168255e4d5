// The instances as their load reports tell them: aggregates, no requests.
//
// 1. Only members are heard: of another one nobody would tell that it is gone.
// 2. What was silent for STALE_MS is not acted on: it is greeted again, and takes part with its next report.
import type { Address } from '@rubato/actor'
import type { LoadMessage } from '@rubato/instance'
import type { MigrationInstance } from '@rubato/policy'

/** An idle instance reports every second. */
const STALE_MS = 1500

export interface KnownInstance {
  readonly address: Address
  load: LoadMessage
  heardMs: number
  /** When its count of preemptions last rose; null: not as far as is known. */
  preemptedAtMs: number | null
  /** When a request was last told to leave or to go there. */
  movedMs: number
}

export class KnownInstances {
  readonly #byAddress = new Map<Address, KnownInstance | null>()

  /** It is a member; nothing is known of it yet. */
  join(address: Address): void {
    if (!this.#byAddress.has(address)) this.#byAddress.set(address, null)
  }

  leave(address: Address): void {
    this.#byAddress.delete(address)
  }

  hear(load: LoadMessage, nowMs: number): void {
    const known = this.#byAddress.get(load.address)
    if (known === undefined) return
    const isSameLife = known !== null && known.load.incarnation === load.incarnation
    const hasPreempted = isSameLife && load.preemptionsTotal > known.load.preemptionsTotal
    this.#byAddress.set(load.address, {
      address: load.address, load, heardMs: nowMs,
      preemptedAtMs: hasPreempted ? nowMs : isSameLife ? known.preemptedAtMs : null,
      movedMs: isSameLife ? known.movedMs : Number.NEGATIVE_INFINITY,
    })
  }

  /** Members that said nothing lately. */
  silent(nowMs: number): readonly Address[] {
    return [...this.#byAddress].filter(([, known]) => known === null || nowMs - known.heardMs >= STALE_MS).map(([address]) => address)
  }

  /** Those that spoke lately, by id. */
  current(nowMs: number): ReadonlyMap<string, KnownInstance> {
    const current = new Map<string, KnownInstance>()
    for (const known of this.#byAddress.values()) if (known !== null && nowMs - known.heardMs < STALE_MS) current.set(known.load.instanceId, known)
    return current
  }
}

export function viewOf({ load, preemptedAtMs }: KnownInstance, nowMs: number): MigrationInstance {
  return {
    instanceId: load.instanceId,
    modelFingerprint: load.modelFingerprint,
    role: load.role,
    isDraining: load.draining,
    canShip: load.kvAddress !== null,
    freenessBlocks: load.freenessBlocks,
    numRunning: load.numRunning,
    numWaiting: load.numWaiting,
    contextBlocks: Math.ceil(load.contextTokens / load.blockSize),
    preemptedAgoMs: preemptedAtMs === null ? null : nowMs - preemptedAtMs,
  }
}
