// The busiest moments of a run, over completed answers.
import type { Answer } from '../client/generate-client.ts'
import { e2elMs } from './latencies.ts'

/** Most output tokens in any whole second, counted from the first sending. */
export function peakTokensPerSec(answers: readonly Answer[]): number {
  const originMs = answers.reduce((first, answer) => Math.min(first, answer.startMs), Infinity)
  const perSecond: number[] = []
  for (const { chunkTimesMs, chunkTokens } of answers) {
    for (const [index, timeMs] of chunkTimesMs.entries()) {
      const second = Math.floor((timeMs - originMs) / 1000)
      perSecond[second] = (perSecond[second] ?? 0) + (chunkTokens[index] ?? 1)
    }
  }
  let peak = 0
  for (const tokens of perSecond) peak = Math.max(peak, tokens ?? 0)
  return peak
}

/** Most answers under way at once; one that ends as another begins does not overlap it. */
export function peakConcurrency(answers: readonly Answer[]): number {
  const edges = answers.flatMap((answer) => [{ atMs: answer.startMs, change: 1 }, { atMs: answer.startMs + (e2elMs(answer) ?? 0), change: -1 }])
  edges.sort((a, b) => a.atMs - b.atMs || a.change - b.change)
  let [current, peak] = [0, 0]
  for (const { change } of edges) {
    current += change
    peak = Math.max(peak, current)
  }
  return peak
}
