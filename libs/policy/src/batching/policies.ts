// Batching policies by name, so that each can be compared with its baselines.
import { orca } from './orca.ts'
import { prefillFirst } from './prefill-first.ts'
import { sarathi } from './sarathi.ts'
import type { SarathiOptions } from './sarathi.ts'
import type { BatchingPolicy } from './snapshot.ts'
import { tempo } from './tempo.ts'

export type BatchingPolicyName = 'tempo' | 'sarathi' | 'prefill-first' | 'orca'
export type BatchingOptions = SarathiOptions

const MAKERS: Readonly<Record<BatchingPolicyName, (options: BatchingOptions) => BatchingPolicy>> = {
  tempo,
  sarathi,
  'prefill-first': prefillFirst,
  orca,
}

export const BATCHING_POLICY_NAMES: readonly BatchingPolicyName[] = ['tempo', 'sarathi', 'prefill-first', 'orca']

export function isBatchingPolicyName(name: string): name is BatchingPolicyName {
  return Object.hasOwn(MAKERS, name)
}

/** The policy of that name. Throws RangeError that lists the names for any other. */
export function batchingPolicy(name: string, options: BatchingOptions): BatchingPolicy {
  if (!isBatchingPolicyName(name)) throw new RangeError(`unknown batching policy '${name}': choose one of ${BATCHING_POLICY_NAMES.join(', ')}`)
  return MAKERS[name](options)
}
