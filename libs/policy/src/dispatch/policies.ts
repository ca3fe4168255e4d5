// Dispatch policies and placements by name, so that each can be compared with its baselines.
import { highestFreeness, leastWork, longestPrefix, nextInTurn } from './policy/baselines.ts'
import { byInstance } from './policy/by-instance.ts'
import { slo } from './policy/slo.ts'
import type { DispatchPolicy, Placement } from './snapshot.ts'

export type DispatchPolicyName = 'slo' | 'freeness' | 'jsq' | 'kv-aware' | 'round-robin'

export interface DispatchOptions {
  readonly placement: Placement
}

const MAKERS: Readonly<Record<DispatchPolicyName, (placement: Placement) => DispatchPolicy>> = {
  slo,
  freeness: (placement) => byInstance(highestFreeness, placement),
  jsq: (placement) => byInstance(leastWork, placement),
  'kv-aware': (placement) => byInstance(longestPrefix, placement),
  'round-robin': (placement) => byInstance(nextInTurn, placement),
}

/** The default first. */
export const DISPATCH_POLICY_NAMES: readonly DispatchPolicyName[] = ['slo', 'freeness', 'jsq', 'kv-aware', 'round-robin']
/** The default first. */
export const PLACEMENT_NAMES: readonly Placement[] = ['auto', 'colocated', 'disaggregated']

export function isDispatchPolicyName(name: string): name is DispatchPolicyName {
  return Object.hasOwn(MAKERS, name)
}

export function isPlacementName(name: string): name is Placement {
  return (PLACEMENT_NAMES as readonly string[]).includes(name)
}

/** The policy of that name. Throws RangeError that lists the names for any other. */
export function dispatchPolicy(name: string, { placement }: DispatchOptions): DispatchPolicy {
  if (!isDispatchPolicyName(name)) throw new RangeError(`unknown dispatch policy '${name}': choose one of ${DISPATCH_POLICY_NAMES.join(', ')}`)
  return MAKERS[name](placement)
}
