// Everything an instance actor is made of. Policies and hashes arrive as functions: the actor has neither.
import type { InstanceRole } from './messages.ts'
import type { SpeculatorPeer } from './speculation/remote/known-speculators.ts'
import type { HashBlock } from '@rubato/kv'
import type { EngineShape } from '@rubato/model'
import type { BatchingPolicy, SpeculationPolicy, StepCostModel } from '@rubato/policy'

export interface InstanceLimits {
  /** Sequences admitted to the engine at a time; every choice of n > 1 counts. */
  readonly maxNumSeqs: number
  /** Hard cap on tokens of a step. */
  readonly maxNumBatchedTokens: number
}

export interface InstanceConfig {
  readonly instanceId: string
  /** Where routers reach this instance. */
  readonly address: string
  /** Routers that hear of it at its start, so that they know a new incarnation before they ask. */
  readonly announceTo?: readonly string[]
  /** Rises with every restart of the instance's engine. */
  readonly incarnation: number
  readonly shape: EngineShape
  /** Already bound to its cost model. */
  readonly batching: BatchingPolicy
  /** What batching predicts with, for its online correction. @default none */
  readonly costModel?: StepCostModel
  /** How draft tokens are proposed and verified; null: never. @default null */
  readonly speculation?: SpeculationPolicy | null
  /** Speculators known at its start, others come as `speculator-joined`; null: it asks none. @default null */
  readonly speculators?: readonly SpeculatorPeer[] | null
  readonly limits: InstanceLimits
  readonly hashBlock: HashBlock
  /** Root of the hash chains of requests with this cache salt: covers fingerprint and encoding. */
  readonly rootHash: (cacheSalt: string) => string
  readonly enablePrefixCache: boolean
  /** What it is meant for first, until `set-role`. @default mixed */
  readonly role?: InstanceRole
  /** Where peers pull its KV from and how it names what it offers; null: it ships no KV and takes none. @default null */
  readonly kvShipping?: { readonly kvAddress: string; readonly signOffer: SignOffer } | null
  /** Live requests that move at a time, in and out together. @default 1 */
  readonly maxMigrations?: number
  /** How long a request whose router is gone waits for another router. @default 10000 */
  readonly orphanTtlMs?: number
}

/** The secret token of an offer: unguessable, and never the same for two different texts. */
export type SignOffer = (text: string) => string
