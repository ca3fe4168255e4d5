// How many tokens a sequence must emit in this step to keep its target: AdaServe §3's A(r), and which ones are past saving.
import type { SpeculatingSequence } from './snapshot.ts'

/** On time: any step will do. Recoverable: within the horizon, by steps at its best. Lost: not even so. */
export type Standing = 'on-time' | 'recoverable' | 'lost'

export interface Need {
  readonly standing: Standing
  /** 0 unless recoverable: a lost sequence gets what is left over, like one without a target. At most `mostTokens`. */
  readonly needTokens: number
}

/** Steps within which a sequence that is behind can be brought back. */
export const RECOVERY_STEPS = 32

const NO_NEED: Need = { standing: 'on-time', needTokens: 0 }

/**
 * Cumulative: what it lost or gained before counts. `mostTokens` is what its tree could bring at best, `stepMs` how long this step
 * takes, drafting included. Tokens are counted at the step's end, the first decode's own included.
 */
export function needOf({ tpotMs, elapsedMs, emittedTokens, remainingTokens }: SpeculatingSequence, stepMs: number, mostTokens: number): Need {
  if (tpotMs === null) return NO_NEED
  const required = (elapsedMs + stepMs) / tpotMs - emittedTokens
  if (required <= 1) return { standing: 'on-time', needTokens: Math.max(0, required) }
  const reachable = Math.min(mostTokens, remainingTokens)
  const gainPerStep = reachable - stepMs / tpotMs
  const isRecoverable = required <= reachable || (gainPerStep > 0 && (required - reachable) / gainPerStep <= RECOVERY_STEPS)
  return isRecoverable ? { standing: 'recoverable', needTokens: Math.min(required, reachable) } : { standing: 'lost', needTokens: 0 }
}

/** Tokens before the end of a request within which a shortfall could not be made up for. */
const LAST_TOKENS = 16

/** Standard deviations of what its nodes bring that a sequence is given above its need: only as it ends, before that what one step misses the next makes up for. */
export function safetyOf({ remainingTokens, tpotMs }: SpeculatingSequence): number {
  return tpotMs !== null && remainingTokens <= LAST_TOKENS ? 1 : 0
}
