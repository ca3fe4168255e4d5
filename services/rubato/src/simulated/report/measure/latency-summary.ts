// Percentiles and distribution functions of what a trial measured.
import { mean, percentile } from '../../../bench/statistics.ts'
import type { LogHistogram } from './log-histogram.ts'
import type { NumberList } from './number-list.ts'
import type { Cdf, LatencySummary } from '../trial-report.ts'

/** Points of a curve in a report: more would not be seen. */
const MAX_POINTS = 160

/** Exact, linear between neighbours. */
export function summaryOf(list: NumberList): LatencySummary {
  const sorted = list.sorted()
  return { p50: percentile(sorted, 50), p90: percentile(sorted, 90), p99: percentile(sorted, 99), mean: mean(sorted) }
}

/** Within one percent. */
export function summaryOfHistogram(histogram: LogHistogram): LatencySummary {
  return { p50: histogram.percentile(50), p90: histogram.percentile(90), p99: histogram.percentile(99), mean: histogram.meanMs }
}

export function cdfOf(list: NumberList): Cdf {
  const sorted = list.sorted()
  const step = Math.max(1, (sorted.length - 1) / MAX_POINTS)
  const points: [number, number][] = []
  for (let at = 0; at < sorted.length; at += step) points.push([sorted[Math.round(at)]!, (Math.round(at) + 1) / sorted.length])
  if (sorted.length > 0 && points.at(-1)![1] !== 1) points.push([sorted.at(-1)!, 1])
  return points
}

export function cdfOfHistogram(histogram: LogHistogram): Cdf {
  const points = histogram.cdf()
  const step = Math.max(1, Math.ceil(points.length / MAX_POINTS))
  return points.filter((_, index) => index % step === 0 || index === points.length - 1).map(({ ms, ratio }) => [ms, ratio])
}
