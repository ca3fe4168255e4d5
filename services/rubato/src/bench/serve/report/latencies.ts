// The four latencies of an answer, milliseconds at the client.
//
// ttft: first chunk with tokens - sending. tpot: (last - first chunk) / (tokens - 1). e2el: last chunk - sending.
// itl: a chunk of k tokens after a gap is k gaps of gap / k, and the first chunk's further tokens are gaps of 0: the sum is last - first, and
// the mean over an answer is its tpot. Where the server does not say how many tokens a chunk has, each chunk is one gap, as in `vllm bench serve`.
import { mean, percentile, standardDeviation } from '../../statistics.ts'
import type { Answer } from '../client/generate-client.ts'

export type LatencyName = 'ttft' | 'tpot' | 'itl' | 'e2el'

export const LATENCY_NAMES: readonly LatencyName[] = ['ttft', 'tpot', 'itl', 'e2el']

type LatencyStatistic = 'mean' | 'median' | 'std' | `p${number}`

/** `mean_ttft_ms`, `p99_itl_ms` and so on; null where no answer has the latency. */
export type LatencyFields = Readonly<Record<`${LatencyStatistic}_${LatencyName}_ms`, number | null>>

/** Null: nothing came. */
export function ttftMs(answer: Answer): number | null {
  const [first] = answer.chunkTimesMs
  return first === undefined ? null : first - answer.startMs
}

/** Null: nothing came. */
export function e2elMs(answer: Answer): number | null {
  const last = answer.chunkTimesMs.at(-1)
  return last === undefined ? null : last - answer.startMs
}

/** Null: fewer than two tokens came. */
export function tpotMs(answer: Answer): number | null {
  const { chunkTimesMs, outputTokens } = answer
  const [first, last] = [chunkTimesMs[0], chunkTimesMs.at(-1)]
  return first === undefined || last === undefined || outputTokens < 2 ? null : (last - first) / (outputTokens - 1)
}

export function itlsMs(answer: Answer): number[] {
  const { chunkTimesMs, chunkTokens } = answer
  const gaps: number[] = []
  for (const [index, timeMs] of chunkTimesMs.entries()) {
    const count = chunkTokens[index] ?? 1
    const previousMs = chunkTimesMs[index - 1]
    if (previousMs === undefined) for (let i = 1; i < count; i++) gaps.push(0)
    else for (let i = 0; i < count; i++) gaps.push((timeMs - previousMs) / count)
  }
  return gaps
}

function valuesOf(name: LatencyName, answers: readonly Answer[]): number[] {
  if (name === 'itl') {
    const gaps: number[] = []
    for (const answer of answers) for (const gap of itlsMs(answer)) gaps.push(gap)
    return gaps
  }
  const measure = { ttft: ttftMs, tpot: tpotMs, e2el: e2elMs }[name]
  return answers.map((answer) => measure(answer)).filter((value) => value !== null)
}

/** Over completed answers. */
export function latencyFields(answers: readonly Answer[], percents: readonly number[]): LatencyFields {
  const fields: Record<`${LatencyStatistic}_${LatencyName}_ms`, number | null> = {} as LatencyFields
  for (const name of LATENCY_NAMES) {
    const sorted = valuesOf(name, answers).toSorted((a, b) => a - b)
    fields[`mean_${name}_ms`] = mean(sorted)
    fields[`median_${name}_ms`] = percentile(sorted, 50)
    fields[`std_${name}_ms`] = standardDeviation(sorted)
    for (const percent of percents) fields[`p${percent}_${name}_ms`] = percentile(sorted, percent)
  }
  return fields
}
