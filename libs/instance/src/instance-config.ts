// Everything an instance actor is made of. Policies and hashes arrive as functions: the actor has neither.
import type { HashBlock } from '@rubato/kv'
import type { EngineShape } from '@rubato/model'
import type { BatchingPolicy, StepCostModel } from '@rubato/policy'

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
  readonly limits: InstanceLimits
  readonly hashBlock: HashBlock
  /** Root of the hash chains of requests with this cache salt: covers fingerprint and encoding. */
  readonly rootHash: (cacheSalt: string) => string
  readonly enablePrefixCache: boolean
}
