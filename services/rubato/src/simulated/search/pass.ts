// Whether a trial kept within the limits of a search, and when it is certain before its end that it will not.
import type { TrialRecorder } from '../report/measure/trial-recorder.ts'
import type { TrialReport } from '../report/trial-report.ts'
import type { PassLimits } from '../scenario/scenario.ts'

/** What was not kept, in words; null: the trial passed. A failed request fails it too, unless attainment counts it. */
export function reasonToFail(report: Pick<TrialReport, 'failed' | 'slo_attainment' | 'tbt_ms' | 'scheduling_delay_ms' | 'slowdown'>, limits: PassLimits): string | null {
  const { attainmentRatio, p99TbtMs, p50DelayMs, slowdown } = limits
  if (attainmentRatio === null && report.failed > 0) return `${report.failed} requests failed`
  if (attainmentRatio !== null && (report.slo_attainment ?? 0) < attainmentRatio) return 'attainment'
  if (p99TbtMs !== null && (report.tbt_ms.p99 ?? 0) > p99TbtMs) return 'p99_tbt_ms'
  if (p50DelayMs !== null && (report.scheduling_delay_ms.p50 ?? Infinity) > p50DelayMs) return 'p50_scheduling_delay_ms'
  return slowdown && report.slowdown?.met !== true ? 'slowdown' : null
}

/** What will be asked of a trial as a whole. */
export interface PlannedTotals {
  readonly numRequests: number
  /** Gaps between tokens of all requests together. */
  readonly numGaps: number
}

/** A histogram's buckets are coarse: only what lies clearly above counts as certain. */
const CLEARLY = 1.03

/** True when what was seen so far is enough to fail the trial, however the rest turns out. */
export function isSureToFail({ attainment, gaps }: Pick<TrialRecorder, 'attainment' | 'gaps'>, totals: PlannedTotals, { attainmentRatio, p99TbtMs }: PassLimits): boolean {
  const reachable = (totals.numRequests - attainment.total.numMissed) / totals.numRequests
  if (attainmentRatio !== null && reachable < attainmentRatio) return true
  return p99TbtMs !== null && gaps.numAbove(CLEARLY * p99TbtMs) > 0.01 * totals.numGaps
}
