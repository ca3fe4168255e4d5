// Lengths of requests: fixed, log-normal, between quantiles that somebody published, or a trace's own.
import type { RandomStream } from '@rubato/sim'
import type { TraceRow } from '../../bench/serve/dataset/trace-rows.ts'
import { standardNormal } from '../../bench/serve/load/arrivals.ts'
import type { LengthsSpec } from '../scenario/scenario.ts'

export interface Lengths {
  readonly promptTokens: number
  readonly outputTokens: number
  /** As TraceRow has them. */
  readonly blockIds: readonly number[]
}

/** 90th percentile of the standard normal distribution. */
const Z90 = 1.2815515655446004
const NO_BLOCKS: readonly number[] = []

/** A draw from the log-normal distribution with this median and 90th percentile, rounded, at least 1. */
export function drawLogNormal(random: RandomStream, { median, p90 }: { readonly median: number; readonly p90: number }): number {
  const sigma = Math.log(p90 / median) / Z90
  return Math.max(1, Math.round(median * Math.exp(sigma * standardNormal(random))))
}

/** A draw from the distribution with these quantiles, pairs of share and length from share 0 to share 1; even between neighbours, rounded. */
export function drawQuantile(random: RandomStream, points: readonly (readonly number[])[]): number {
  const share = random.next()
  const above = points.findIndex((point, index) => index > 0 && share <= point[0]!)
  const [from, to] = [points[above - 1]!, points[above]!]
  return Math.round(from[1]! + ((to[1]! - from[1]!) * (share - from[0]!)) / (to[0]! - from[0]!))
}

/** Lengths of the next request, again and again. `rows` are those of the trace, empty for the other kinds. */
export function lengthsSource(spec: LengthsSpec, rows: readonly TraceRow[], random: RandomStream): () => Lengths {
  switch (spec.kind) {
    case 'fixed':
      return () => ({ promptTokens: spec.prompt, outputTokens: spec.output, blockIds: NO_BLOCKS })
    case 'lognormal':
      return () => ({ promptTokens: drawLogNormal(random, spec.prompt), outputTokens: drawLogNormal(random, spec.output), blockIds: NO_BLOCKS })
    case 'quantiles':
      return () => ({ promptTokens: drawQuantile(random, spec.prompt), outputTokens: drawQuantile(random, spec.output), blockIds: NO_BLOCKS })
    case 'trace':
      return traceSource(spec.order, rows, random)
  }
}

/** file: in order, round and round. random: whole rows, with replacement. independent: prompts and outputs each, as splitwise-sim draws them. */
function traceSource(order: 'file' | 'random' | 'independent', rows: readonly TraceRow[], random: RandomStream): () => Lengths {
  const at = (index: number): TraceRow => rows[index]!
  switch (order) {
    case 'file': {
      let next = 0
      return () => lengthsOf(at(next++ % rows.length))
    }
    case 'random':
      return () => lengthsOf(at(random.int(rows.length)))
    case 'independent':
      return () => {
        const prompt = lengthsOf(at(random.int(rows.length)))
        return { ...prompt, outputTokens: lengthsOf(at(random.int(rows.length))).outputTokens }
      }
  }
}

/** Traces hold requests of no tokens now and then: the least that can be served is one. */
function lengthsOf({ inputTokens, outputTokens, blockIds }: TraceRow): Lengths {
  return { promptTokens: Math.max(1, inputTokens), outputTokens: Math.max(1, outputTokens), blockIds }
}
