// Speculation policies by name, so that each can be compared with its baselines.
import { ADASERVE_DEFAULTS, adaServePolicy, ngramPolicy, offPolicy, smartSpecPolicy, staticPolicy } from './baselines.ts'
import type { ProposerName } from './baselines.ts'
import { AUTO_DEFAULTS, autoPolicy } from './auto.ts'
import type { SpeculationPolicy } from './policy.ts'

export const SPECULATION_POLICY_NAMES = ['auto', 'off', 'static:K', 'ngram', 'smartspec', 'adaserve'] as const

export interface SpeculationOptions {
  /** Who proposes for `static:K` and `smartspec`. @default draft */
  readonly proposer?: ProposerName
  /** Deepest draft and widest level of `auto` and `adaserve`. */
  readonly maxDepth?: number
  readonly maxWidth?: number
}

/** Length of `static:K`; null for every other name. */
function staticLength(name: string): number | null {
  const digits = /^static:(\d{1,2})$/.exec(name)?.[1]
  return digits === undefined ? null : Number(digits)
}

export function isSpeculationPolicyName(name: string): boolean {
  return staticLength(name) !== null || (name !== 'static:K' && (SPECULATION_POLICY_NAMES as readonly string[]).includes(name))
}

/** The policy of that name. Throws RangeError that lists the names for any other. */
export function speculationPolicy(name: string, options: SpeculationOptions = {}): SpeculationPolicy {
  const { proposer = 'draft', ...limits } = options
  const length = staticLength(name)
  if (length !== null) return length === 0 ? offPolicy : staticPolicy(length, proposer)
  switch (name) {
    case 'off':
      return offPolicy
    case 'ngram':
      return ngramPolicy(proposer === 'suffix' ? 'suffix' : 'ngram')
    case 'smartspec':
      return smartSpecPolicy(proposer)
    case 'adaserve':
      return adaServePolicy({ ...ADASERVE_DEFAULTS, ...limits })
    case 'auto':
      return autoPolicy({ ...AUTO_DEFAULTS, ...limits })
    default:
      throw new RangeError(`unknown speculation policy '${name}': choose one of ${SPECULATION_POLICY_NAMES.join(', ')}`)
  }
}
