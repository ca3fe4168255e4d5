// When requests arrive, from the start of the run on.
import type { RandomStream } from '@rubato/sim'
import type { TraceRow } from '../../bench/serve/dataset/trace-rows.ts'
import { drawArrivalsMs, scaleArrivalsMs } from '../../bench/serve/load/arrivals.ts'
import type { ArrivalsSpec } from '../scenario/scenario.ts'

export interface ArrivalPlan {
  /** null: as many as fall within durationMs. */
  readonly numRequests: number | null
  readonly durationMs: number | null
  /** null: a trace's own speed. */
  readonly ratePerSec: number | null
}

/**
 * Ascending, milliseconds. At a given rate the last request arrives at count / rate exactly, so that every seed offers the same load.
 * `rows` are those of the trace, empty for the other kinds.
 */
export function drawArrivals(spec: ArrivalsSpec, plan: ArrivalPlan, rows: readonly TraceRow[], random: RandomStream): number[] {
  if (spec.kind === 'trace') return traceArrivals(rows, spec.jitterRatio, plan, random)
  const requestRatePerSec = plan.ratePerSec ?? 1
  const count = plan.numRequests ?? Math.max(1, Math.round((requestRatePerSec * (plan.durationMs ?? 0)) / 1000))
  return drawArrivalsMs(random, count, { requestRatePerSec, burstiness: burstinessOf(spec) })
}

/** Gamma shape of the gaps. */
function burstinessOf(spec: Exclude<ArrivalsSpec, { kind: 'trace' }>): number {
  switch (spec.kind) {
    case 'poisson':
      return 1
    case 'even':
      return Infinity
    case 'gamma':
      return 1 / spec.cv ** 2
  }
}

/** The trace's gaps, each longer or shorter by up to the jitter's share, round and round; one pass where nothing else limits them. */
function traceArrivals(rows: readonly TraceRow[], jitterRatio: number, plan: ArrivalPlan, random: RandomStream): number[] {
  const timesMs = rows.map(({ arrivalMs }) => arrivalMs ?? 0)
  const spanMs = timesMs.at(-1) ?? 0
  // Between the last request of one pass and the first of the next: a gap like the others.
  const wrapMs = rows.length > 1 ? spanMs / (rows.length - 1) : 1000
  const { ratePerSec, durationMs } = plan
  const perPassMs = spanMs + wrapMs
  const stretch = ratePerSec === null ? 1 : ((rows.length / ratePerSec) * 1000) / perPassMs
  const limit = plan.numRequests ?? (durationMs === null ? rows.length : Infinity)
  const arrivals: number[] = []
  for (let atMs = 0; arrivals.length < limit && (durationMs === null || atMs <= durationMs);) {
    arrivals.push(atMs)
    const place = arrivals.length % rows.length
    const gapMs = place === 0 ? wrapMs : timesMs[place]! - timesMs[place - 1]!
    atMs += gapMs * stretch * (1 + jitterRatio * random.between(-1, 1))
  }
  return durationMs === null ? scaleArrivalsMs(arrivals, ratePerSec) : arrivals
}
