// Step times of an engine that runs the cells and decodes of a step in one pass (hybrid batches, Sarathi-Serve §4), composed as
// Vidur (Agrawal et al., MLSys'24) does it:
//
//   device = layers * (projections(rows) + 2 * (all-reduce(rows * hidden) + launch)) + output head
//            + attention of cells + attention of decodes
//   step   = the longer of device and host(sequences): the host launches ahead, so that the shorter of the two is hidden
//
// Projections are tabled or a roofline; attention, which was not measured, is the longer of its FLOPs and the KV it reads.
// Its FLOPs at 50 % of the peak, its KV at 80 % of the memory's rate and a host that takes no time are assumptions, unless a
// calibration says otherwise.
import type { Accelerator } from '../machine/accelerators.ts'
import { headBytes, kvBytesPerToken, pairFlops } from '../machine/model-architectures.ts'
import type { ModelArchitecture } from '../machine/model-architectures.ts'
import { curveAt } from '../curve.ts'
import type { Curve } from '../curve.ts'
import { emptySums, sumStep } from '../step-sums.ts'
import type { StepTimer } from '../step-timer.ts'
import type { AllReduceTime } from './network-table.ts'

export interface ComposedParts {
  readonly accelerator: Accelerator
  readonly model: ModelArchitecture
  readonly tp: number
  /** Projections and element-wise operators of one layer, over rows. */
  readonly layerMs: (rows: number) => number
  /** null: one device, nothing to reduce. */
  readonly allReduceMs: AllReduceTime | null
}

/** What the parts leave open. */
export interface ComposedCalibration {
  /** Projections take this much longer than their table or roofline. */
  readonly layerRatio: number
  /** Share of the peak rate that attention reaches. */
  readonly attentionFlopsRatio: number
  /** Share of the memory's rate at which KV is read. */
  readonly kvReadRatio: number
  /** Milliseconds of the host per step over its sequences; null: none. */
  readonly host: Curve | null
}

export const UNCALIBRATED: ComposedCalibration = { layerRatio: 1, attentionFlopsRatio: 0.5, kvReadRatio: 0.8, host: null }

const LAUNCH_MS = 0.02
const BYTES_PER_NUMBER = 2
/** Steps of up to so many rows are looked up; larger ones are computed. */
const TABLED_ROWS = 8192

/** Device times per unit of work, before any calibration. */
export interface ComposedRates {
  /** Projections of all layers. */
  readonly layersMs: (rows: number) => number
  /** All-reduces of all layers with their launches, and the output head. */
  readonly otherMs: (rows: number) => number
  /** A (query, key) pair at the peak rate. */
  readonly peakPairMs: number
  /** A KV token at the memory's peak rate. */
  readonly peakKvTokenMs: number
}

export function composedRates({ accelerator, model, tp, layerMs, allReduceMs }: ComposedParts): ComposedRates {
  const { numLayers, hiddenSize } = model
  const { flopsPerSec, memoryBytesPerSec } = accelerator
  const headMs = (1000 * headBytes(model)) / (tp * memoryBytesPerSec)
  const reduceMs = (rows: number): number => (allReduceMs === null ? 0 : 2 * numLayers * (allReduceMs(rows * hiddenSize * BYTES_PER_NUMBER) + LAUNCH_MS))
  return {
    layersMs: (rows) => numLayers * layerMs(rows),
    otherMs: (rows) => headMs + reduceMs(rows),
    peakPairMs: (1000 * pairFlops(model)) / (tp * flopsPerSec),
    peakKvTokenMs: (1000 * kvBytesPerToken(model)) / (tp * memoryBytesPerSec),
  }
}

export function composedTimer(parts: ComposedParts, calibration: ComposedCalibration = UNCALIBRATED): StepTimer {
  const { host, layerRatio, attentionFlopsRatio, kvReadRatio } = calibration
  const { layersMs, otherMs, peakPairMs, peakKvTokenMs } = composedRates(parts)
  const rowsMs = (rows: number): number => layerRatio * layersMs(rows) + otherMs(rows)
  const tabledMs = Float64Array.from({ length: TABLED_ROWS + 1 }, (_, rows) => rowsMs(rows))
  const pairMs = peakPairMs / attentionFlopsRatio
  const kvTokenMs = peakKvTokenMs / kvReadRatio
  const sums = emptySums()
  return {
    stepMs(work) {
      sumStep(work, sums)
      const { cellTokens, decodeRows, numDecodes } = sums
      const rows = cellTokens + decodeRows
      if (rows === 0) return 0
      const cellAttentionMs = Math.max(pairMs * sums.cellPairs, kvTokenMs * sums.cellReads)
      const decodeAttentionMs = Math.max(pairMs * sums.decodePairs, kvTokenMs * sums.contextTokens)
      const deviceMs = (rows <= TABLED_ROWS ? tabledMs[rows]! : rowsMs(rows)) + cellAttentionMs + decodeAttentionMs
      return host === null ? deviceMs : Math.max(deviceMs, curveAt(host, numDecodes + (cellTokens > 0 ? 1 : 0), 'level'))
    },
  }
}
