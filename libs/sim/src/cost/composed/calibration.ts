// Fits what the composition leaves open to measured steps.
//
// 1. Steps of decodes alone give the host's time over sequences, as a curve through their points.
// 2. Steps with cells give two constants, least in relative error: how projections compare to their table, and how fast
//    attention computes. Steps that the host bounds say nothing of the device and are left out.
// 3. KV keeps its assumed rate: these measurements do not vary the context alone.
import { fitNonNegative } from '@rubato/policy'
import type { StepWork } from '@rubato/policy'
import { curveAt, curveThrough } from '../curve.ts'
import { emptySums, sumStep } from '../step-sums.ts'
import { UNCALIBRATED, composedRates } from './composed-timer.ts'
import type { ComposedCalibration, ComposedParts } from './composed-timer.ts'

export interface MeasuredStep {
  readonly work: StepWork
  readonly ms: number
}

export interface CalibrationSteps {
  readonly withCells: readonly MeasuredStep[]
  readonly decodesOnly: readonly MeasuredStep[]
}

/** A step with cells as the device sees it. */
interface DeviceStep {
  readonly ms: number
  readonly layersMs: number
  readonly otherMs: number
  /** Attention at the peak rate. */
  readonly pairsMs: number
}

function deviceSteps(parts: ComposedParts, steps: readonly MeasuredStep[]): DeviceStep[] {
  const { layersMs, otherMs, peakPairMs } = composedRates(parts)
  const sums = emptySums()
  return steps.map(({ work, ms }) => {
    sumStep(work, sums)
    const rows = sums.cellTokens + sums.decodeRows
    return { ms, layersMs: layersMs(rows), otherMs: otherMs(rows), pairsMs: peakPairMs * (sums.cellPairs + sums.decodePairs) }
  })
}

/** [projections, pairs]: ratios to their table and to the peak rate. Steps that come out shorter than hostMs are dropped and the rest fitted anew. */
function fitDevice(steps: readonly DeviceStep[], hostMs: number): readonly [layerRatio: number, pairRatio: number] {
  const [layerRatio = 0, pairRatio = 0] = fitNonNegative(steps.map(({ layersMs, pairsMs }) => [layersMs, pairsMs]), steps.map(({ ms, otherMs }) => ms - otherMs))
  const bound = steps.filter(({ layersMs, otherMs, pairsMs }) => layerRatio * layersMs + pairRatio * pairsMs + otherMs > hostMs)
  return bound.length === steps.length ? [layerRatio, pairRatio] : fitDevice(bound, hostMs)
}

/** Throws RangeError without a step of decodes alone, or without one that the device bounds. */
export function calibrateComposed(parts: ComposedParts, { withCells, decodesOnly }: CalibrationSteps): ComposedCalibration {
  const host = curveThrough(decodesOnly.map(({ work, ms }) => ({ x: work.decodes.length, y: ms })))
  const [layerRatio, pairRatio] = fitDevice(deviceSteps(parts, withCells), curveAt(host, 1, 'level'))
  if (!(layerRatio > 0 && pairRatio > 0)) throw new RangeError('no measured step shows what the device takes')
  return { layerRatio, attentionFlopsRatio: 1 / pairRatio, kvReadRatio: UNCALIBRATED.kvReadRatio, host }
}
