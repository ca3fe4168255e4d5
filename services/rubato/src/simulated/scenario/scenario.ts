// A scenario as it is run: everything resolved, plain values that can be sent to a worker.
import type { z } from 'zod'
import type { DispatchPolicyName, BatchingPolicyName, Placement } from '@rubato/policy'
import type { PrimaryMetric } from './primary-metrics.ts'
import type { FAULT_SCHEMA } from './schema/fault-schema.ts'
import type { FLEET_SCHEMA } from './schema/fleet-schema.ts'
import type { SEARCH_SCHEMA, SLO_SCHEMA } from './schema/goal-schema.ts'
import type { TIMER_SCHEMA } from './schema/timer-schema.ts'
import type { WORKLOAD_SCHEMA } from './schema/workload-schema.ts'

type Frozen<T> = T extends readonly (infer E)[] ? readonly Frozen<E>[] : T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T

/** Equal instances; each is called by the group's name and a number from 1. */
export type FleetGroup = Frozen<z.output<typeof FLEET_SCHEMA>>[number]
export type TimerChoice = Frozen<z.output<typeof TIMER_SCHEMA>>
export type WorkloadSpec = Frozen<z.output<typeof WORKLOAD_SCHEMA>>
export type LengthsSpec = WorkloadSpec['lengths']
export type ArrivalsSpec = WorkloadSpec['arrivals']
export type RequestClass = NonNullable<WorkloadSpec['classes']>[number]
export type SloSpec = Frozen<z.output<typeof SLO_SCHEMA>>
export type SearchSpec = Frozen<z.output<typeof SEARCH_SCHEMA>>
export type PassLimits = SearchSpec['pass']
export type FaultSpec = Frozen<z.output<typeof FAULT_SCHEMA>>

export interface Policies {
  readonly batching: BatchingPolicyName
  readonly dispatch: DispatchPolicyName
  readonly placement: Placement
  readonly migration: 'llumnix' | 'off'
  /** `off`, or a name as `--speculation` takes it. */
  readonly speculation: string
}

export interface Limits {
  /** Of one instance. */
  readonly maxNumSeqs: number
  /** Of one step. */
  readonly maxNumBatchedTokens: number
  /** Longest prompt and output together. */
  readonly maxModelLen: number
  readonly blockSize: number
  readonly cellTokens: number
  /** Of the router; null: no limit. */
  readonly maxConcurrentRequests: number | null
  readonly queueSize: number | null
  readonly queueTimeoutMs: number | null
}

/** One column of a comparison. */
export interface Variant {
  readonly name: string
  readonly description: string | null
  readonly fleet: readonly FleetGroup[]
  readonly timer: TimerChoice
  readonly policies: Policies
  readonly limits: Limits
}

export interface Scenario {
  /** Absolute path of its file. */
  readonly file: string
  readonly name: string
  readonly description: string
  readonly primaryMetric: PrimaryMetric
  readonly seeds: readonly number[]
  /** light: fast; checked: every block and token is verified. */
  readonly engine: 'light' | 'checked'
  readonly numRouters: number
  /** Step times vary by up to this share either way. */
  readonly jitterRatio: number
  /** The first is what the others are compared with. */
  readonly variants: readonly Variant[]
  /** File names in it are absolute. */
  readonly workload: WorkloadSpec
  readonly slo: SloSpec | null
  readonly search: SearchSpec | null
  readonly faults: readonly FaultSpec[]
}

/** `a100-1` and so on. */
export function instanceNames(fleet: readonly FleetGroup[]): string[] {
  return fleet.flatMap(({ name, count }) => Array.from({ length: count }, (_, index) => `${name}-${index + 1}`))
}

/** Cards of a fleet: what capacity per device divides by. */
export function numDevices(fleet: readonly FleetGroup[]): number {
  return fleet.reduce((sum, { count, tp, pp }) => sum + count * tp * pp, 0)
}
