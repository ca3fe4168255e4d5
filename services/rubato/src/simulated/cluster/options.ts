// What a simulated cluster is made of. The same actors and policies as in a live one; clock, links, leases and engines are simulated.
import type { Actor, Address, EffectTable } from '@rubato/actor'
import type { InstanceLimits, InstanceRole } from '@rubato/instance'
import type { EngineCommand, EngineShape } from '@rubato/model'
import type { BatchingPolicyName, DispatchPolicy, SpeculationPolicy, StepCostModel } from '@rubato/policy'
import type { RouterConfig } from '@rubato/service-router'
import type { LinkLatency, SimWorld } from '@rubato/sim'
import type { StepTimer } from '@rubato/sim/cost'
import type { SimRequestRecord } from './clients/record.ts'

export interface SimLink {
  readonly bytesPerSec: number
  /** One way. */
  readonly latencyMs: number
}

export interface SimDrafts {
  /** Probability that the best candidate of a level is the right one. */
  readonly goodRatio: number
  /** Time of one level of drafts, for all sequences together. */
  readonly levelMs: number
}

export interface SimInstanceSpec {
  /** Unique in the cluster; routers are named r1, r2, ..., migrators m1, m2, ... */
  readonly name: string
  readonly role: InstanceRole
  readonly shape: EngineShape
  /** What its steps truly take. */
  readonly timer: StepTimer
  /** What its policies believe, until its steps correct it. */
  readonly costModel: StepCostModel
  readonly limits: InstanceLimits
  readonly batching: BatchingPolicyName
  /** null: never. @default null */
  readonly speculation?: SpeculationPolicy | null
  /** Between it and other instances, for KV. */
  readonly link: SimLink
  /** Step times vary by up to this share either way. @default 0 */
  readonly jitterRatio?: number
  /** Its draft model; null: it has none. @default null */
  readonly drafts?: SimDrafts | null
}

/** How routers admit. @default no limit on concurrency, a queue of 10,000 without a timeout, migrationLimit 3 */
export type SimAdmission = Partial<Pick<RouterConfig, 'maxConcurrentRequests' | 'queueSize' | 'queueTimeoutMs' | 'migrationLimit'>>

/** What is kept of every request, and who hears of it as it happens. */
export interface SimRecording {
  /** The tokens themselves, per choice, and the request behind its end. @default false */
  readonly keepsTokens?: boolean
  /** The gap before every token. @default true */
  readonly keepsGaps?: boolean
  /** Tokens reached their client, `gapMs` after the ones before of the same choice; null: the first. For histograms in place of kept gaps. */
  readonly onTokens?: (record: SimRequestRecord, numTokens: number, gapMs: number | null) => void
  /** The request finished, failed or was cancelled. */
  readonly onEnd?: (record: SimRequestRecord) => void
}

/** An actor as its process is about to host it, with its ports beyond send, timer and cancel. */
export interface SimHosted {
  /** Name of the process. */
  readonly process: string
  readonly address: Address
  readonly actor: Actor<unknown>
  readonly effects: EffectTable
}

/** Of what a command can be the death. */
export type SimDeath = 'engine' | 'process'

export interface SimClusterOptions {
  readonly world: SimWorld
  /** At least 1. */
  readonly numRouters: number
  /** At least one. */
  readonly instances: readonly SimInstanceSpec[]
  readonly dispatch: DispatchPolicy
  readonly migration: 'llumnix' | 'off'
  /** They stand for the lead. @default 1 where migration is on, else 0 */
  readonly numMigrators?: number
  /** checked: every block is verified and every token computed from the blocks it reads. light: as fast as can be, for large experiments. */
  readonly engine: 'checked' | 'light'
  /** Every instance proves before every message that its blocks add up. @default false */
  readonly checkEveryEvent?: boolean
  readonly admission?: SimAdmission
  readonly recording?: SimRecording
  /** @default true */
  readonly enablePrefixCache?: boolean
  /** Live requests that move at a time per instance. @default 1 */
  readonly maxMigrations?: number
  /** Of messages between processes. @default 0.1 ms + up to 0.3 ms */
  readonly busLatency?: LinkLatency
  /** Whether executing this command is the death of the engine, or of the whole process, that does; another starts soon. @default never */
  readonly deathOf?: (command: EngineCommand) => SimDeath | null
  /** What is hosted in place of each actor: it may watch the actor and its ports, or break them. @default the actor itself */
  readonly wrap?: (hosted: SimHosted) => Pick<SimHosted, 'actor' | 'effects'>
}
