// Splitwise's service-level objective (ISCA'24, Table VI): nine limits on how much slower than alone requests may be.
import type { PublishedSplitwiseCurves } from '../../cost/splitwise/published-curves.ts'
import { quantile } from '../quantile.ts'

/** What is measured of a request; a simulator's record is one. */
export interface SplitwiseSample {
  readonly promptTokens: number
  readonly outputTokens: number
  readonly ttftMs: number
  /** (E2E - TTFT) / outputTokens, for numbers that compare with the published ones. */
  readonly tbtMs: number
  readonly e2eMs: number
}

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
}

/** By how much slower than alone, as a factor. */
export interface SplitwiseSlowdowns {
  readonly ttft: Percentiles
  readonly tbt: Percentiles
  readonly e2e: Percentiles
}

export const SPLITWISE_SLO: SplitwiseSlowdowns = {
  ttft: { p50: 2, p90: 3, p99: 6 },
  tbt: { p50: 1.25, p90: 1.5, p99: 5 },
  e2e: { p50: 1.25, p90: 1.5, p99: 5 },
}

function percentiles(values: readonly number[]): Percentiles {
  return { p50: quantile(values, 0.5), p90: quantile(values, 0.9), p99: quantile(values, 0.99) }
}

/**
 * Slowdowns against the same request alone on the reference machine, in the paper a DGX-A100 at TP 8: the prompt curve at
 * the prompt, then the token curve at the prompt per further token. Throws RubatoError `no_values` without samples.
 */
export function splitwiseSlowdowns(samples: readonly SplitwiseSample[], alone: PublishedSplitwiseCurves): SplitwiseSlowdowns {
  const ratios = samples.map(({ promptTokens, outputTokens, ttftMs, tbtMs, e2eMs }) => {
    const aloneTtftMs = alone.promptMs(promptTokens)
    const aloneTbtMs = alone.tokenMs(promptTokens)
    return { ttft: ttftMs / aloneTtftMs, tbt: tbtMs / aloneTbtMs, e2e: e2eMs / (aloneTtftMs + aloneTbtMs * (outputTokens - 1)) }
  })
  return {
    ttft: percentiles(ratios.map(({ ttft }) => ttft)),
    tbt: percentiles(ratios.map(({ tbt }) => tbt)),
    e2e: percentiles(ratios.map(({ e2e }) => e2e)),
  }
}

/** Whether all nine stay below their limits. */
export function meetsSplitwiseSlo(slowdowns: SplitwiseSlowdowns): boolean {
  return (['ttft', 'tbt', 'e2e'] as const).every((measure) => (['p50', 'p90', 'p99'] as const).every((p) => slowdowns[measure][p] < SPLITWISE_SLO[measure][p]))
}
