// All that a seed decides: a fleet, what its clients ask of it, and what is to go wrong. Plain values.
import type { InstanceRole } from '@rubato/instance'
import type { BatchingPolicyName, DispatchPolicyName } from '@rubato/policy'
import type { ClientRequest } from '@rubato/service-router'
import type { FaultWish } from '../faults/fault.ts'

export interface PlannedInstance {
  readonly name: string
  readonly role: InstanceRole
  /** Few enough that requests are preempted. */
  readonly numBlocks: number
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  readonly batching: BatchingPolicyName
  /** Name of its speculation policy; null: none. */
  readonly speculation: string | null
  /** Ratio of right drafts of its own draft model; null: it has none. */
  readonly draftRatio: number | null
  /** Its steps take so many times what its cost model says. */
  readonly slowness: number
  readonly kvBytesPerSec: number
}

export interface PlannedFleet {
  readonly numRouters: number
  readonly numMigrators: number
  readonly instances: readonly PlannedInstance[]
  readonly dispatch: DispatchPolicyName
  readonly placement: 'auto' | 'colocated' | 'disaggregated'
  readonly maxMigrations: number
  readonly maxConcurrentRequests: number
  /** Instances that a suspect may cost. */
  readonly migrationLimit: number
  readonly enablePrefixCache: boolean
}

export interface PlannedRequest {
  /** After the cluster got ready. */
  readonly arrivalMs: number
  readonly request: ClientRequest
  /** After its arrival its client leaves; null: it stays. */
  readonly cancelAfterMs: number | null
  /** Its client does not come back when its router dies. */
  readonly isImpatient: boolean
}

export interface SwarmPlan {
  readonly seed: number
  readonly fleet: PlannedFleet
  /** In order of arrival. */
  readonly requests: readonly PlannedRequest[]
  readonly wishes: readonly FaultWish[]
}
