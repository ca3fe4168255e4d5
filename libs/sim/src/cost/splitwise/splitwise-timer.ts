// Step times from the Splitwise measurements with a real batch axis and a context term.
//
// prompt step: linear(tokens) + attention pairs. Rows with one prompt and rows with many of 512 tokens have the same tokens
//   but other pairs: their difference is what a pair costs; the rest is a curve over tokens, level below its first point.
// decode step: rows(batch) + context. The batch curve comes from the rows at prompt 512, batch 1..64. A context is read as
//   fast as memory allows over all sequences, but no faster than the longest one alone was measured to be.
// mixed step: 1.1 times what all its rows take as prompts, pairs included (the published ratio; nothing mixed was measured),
//   plus context; never less than its decodes alone.
import { kvBytesPerToken, pairFlops } from '../machine/model-architectures.ts'
import type { ModelArchitecture } from '../machine/model-architectures.ts'
import type { Accelerator } from '../machine/accelerators.ts'
import { curveAt, curveThrough, median } from '../curve.ts'
import type { Curve } from '../curve.ts'
import { emptySums, sumStep } from '../step-sums.ts'
import type { StepTimer } from '../step-timer.ts'
import { MIXED_RATIO, publishedSplitwiseCurves } from './published-curves.ts'
import { rowsOf } from './splitwise-profile.ts'
import type { SplitwiseRow } from './splitwise-profile.ts'

export interface SplitwiseTimerOptions {
  readonly rows: readonly SplitwiseRow[]
  readonly accelerator: Accelerator
  readonly model: ModelArchitecture
  readonly tp: number
}

/** Prompt length of the rows that vary the batch, and the output length of all rows that count here. */
const BATCHED_PROMPT = 512
const OUTPUT_TOKENS = 128
/** Share of the memory peak that reading KV reaches. */
const KV_READ_RATIO = 0.8

/** 64 prompts of 512 tokens on two devices came out faster than four of them: those runs were cut short. */
function isBroken({ tp, batch, model }: SplitwiseRow): boolean {
  return model === 'llama2-70b' && tp === 2 && batch === 64
}

/** Mean tokens in KV over the measured steps of a row's sequence. */
function contextOf({ promptTokens, outputTokens }: SplitwiseRow): number {
  return promptTokens + outputTokens / 2
}

function pairsOf({ promptTokens, batch }: SplitwiseRow): number {
  return (batch * promptTokens * (promptTokens + 1)) / 2
}

/** Cost of a pair: the slope of (one long prompt - many short ones of as many tokens) over the difference in pairs. */
function fitPairMs(rows: readonly SplitwiseRow[]): number {
  let [top, bottom] = [0, 0]
  for (const same of Map.groupBy(rows, ({ promptTokens, batch }) => promptTokens * batch).values()) {
    const single = same.filter(({ batch }) => batch === 1)
    const batched = same.filter(({ batch }) => batch > 1)
    if (single.length === 0 || batched.length === 0) continue
    const pairs = pairsOf(single[0]!) - pairsOf(batched[0]!)
    top += pairs * (median(single.map(({ promptMs }) => promptMs)) - median(batched.map(({ promptMs }) => promptMs)))
    bottom += pairs * pairs
  }
  return bottom > 0 ? top / bottom : 0
}

/** Slope of the step time of one sequence over its context. */
function fitLongestMs(rows: readonly SplitwiseRow[]): number {
  const single = rows.filter(({ batch }) => batch === 1)
  const meanContext = single.reduce((sum, row) => sum + contextOf(row), 0) / single.length
  let [top, bottom] = [0, 0]
  for (const row of single) {
    top += (contextOf(row) - meanContext) * row.tokenMs
    bottom += (contextOf(row) - meanContext) ** 2
  }
  return Math.max(0, top / bottom)
}

/** The curve made non-decreasing: more rows never take less time. */
function rising({ xs, ys }: Curve): Curve {
  let most = 0
  return { xs, ys: ys.map((y) => (most = Math.max(most, y))) }
}

/** The published simulator's reading of the same rows, to reproduce its orderings. Throws RangeError when the machine was not measured. */
export function publishedSplitwiseTimer({ rows, accelerator, model, tp }: SplitwiseTimerOptions): StepTimer {
  const curves = publishedSplitwiseCurves(rows, { model: model.name, hardware: accelerator.name, tp })
  const sums = emptySums()
  return {
    stepMs(work) {
      sumStep(work, sums)
      return curves.iterationMs(sums.cellTokens, sums.decodeRows)
    },
  }
}

/** Throws RangeError when the machine was not measured. */
export function splitwiseTimer({ rows, accelerator, model, tp }: SplitwiseTimerOptions): StepTimer {
  const own = rowsOf(rows, { model: model.name, hardware: accelerator.name, tp }).filter((row) => row.outputTokens === OUTPUT_TOKENS && !isBroken(row))
  const peakPairMs = (1000 * pairFlops(model)) / (tp * accelerator.flopsPerSec)
  const pairMs = Math.max(peakPairMs, fitPairMs(own))
  const longestMs = fitLongestMs(own)
  const kvTokenMs = (1000 * kvBytesPerToken(model)) / (tp * accelerator.memoryBytesPerSec * KV_READ_RATIO)
  const contextMs = (contextTokens: number, longest: number): number => Math.max(kvTokenMs * contextTokens, longestMs * longest)
  const prompt = rising(curveThrough(own.map((row) => ({ x: row.promptTokens * row.batch, y: row.promptMs - pairMs * pairsOf(row) }))))
  const batch = rising(curveThrough(own.filter(({ promptTokens }) => promptTokens === BATCHED_PROMPT).map((row) => (
    { x: row.batch, y: row.tokenMs - contextMs(row.batch * contextOf(row), contextOf(row)) }))))
  const sums = emptySums()
  return {
    stepMs(work) {
      sumStep(work, sums)
      const { cellTokens, cellPairs, decodeRows } = sums
      const decodeMs = decodeRows === 0 ? 0 : curveAt(batch, decodeRows, 'level') + contextMs(sums.contextTokens, sums.longestContext)
      if (cellTokens === 0) return decodeMs
      const promptMs = curveAt(prompt, cellTokens + decodeRows, 'level') + pairMs * cellPairs
      if (decodeRows === 0) return promptMs
      const mixedMs = MIXED_RATIO * promptMs + contextMs(sums.contextTokens, sums.longestContext)
      return Math.max(decodeMs, mixedMs)
    },
  }
}
