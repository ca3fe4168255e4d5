// One request of a trial, once it has ended.
import type { PlannedRequest } from '../../workload/planned-request.ts'

export interface RequestOutcome {
  readonly planned: PlannedRequest
  readonly end: 'finished' | 'failed'
  /** Code of the failure; null: it finished. */
  readonly error: string | null
  /** From its arrival on; null: no token came. */
  readonly ttftMs: number | null
  readonly e2eMs: number | null
  readonly numTokens: number
  /** Tokens that its client was never given though later ones came, or that it was given twice. */
  readonly numLost: number
  readonly numDuplicated: number
  /** null where it failed. */
  readonly delayMs: number | null
  readonly migrations: number
  readonly recoveries: number
  /** null: it did not move. */
  readonly downtimeMs: number | null
}

/** Null: fewer than two tokens came. */
export function tpotMsOf({ ttftMs, e2eMs, numTokens }: Pick<RequestOutcome, 'ttftMs' | 'e2eMs' | 'numTokens'>): number | null {
  return ttftMs === null || e2eMs === null || numTokens < 2 ? null : (e2eMs - ttftMs) / (numTokens - 1)
}

/** Null: no such target. */
export interface Verdict {
  readonly tpot: boolean | null
  /** All of its targets. */
  readonly slo: boolean | null
}

/** A request that failed has missed; one token has no gap that could miss. */
export function verdictOf(outcome: RequestOutcome): Verdict {
  const { end, ttftMs, planned: { targets } } = outcome
  const judge = (targetMs: number | null, valueMs: number | null): boolean | null => (targetMs === null ? null : end === 'finished' && (valueMs ?? 0) <= targetMs)
  const [ttft, tpot] = [judge(targets.ttftMs, ttftMs), judge(targets.tpotMs, tpotMsOf(outcome))]
  return { tpot, slo: ttft === null && tpot === null ? null : ttft !== false && tpot !== false }
}
