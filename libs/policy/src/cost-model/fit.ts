// Fits the step-time model to a profile's measured points.
import { fitNonNegative } from './least-squares.ts'
import { cellPairs, predictCellMs, predictDecodeMs } from './model.ts'
import type { CellCost, DecodeCost, StepCostModel } from './model.ts'

/** One measured run. `contextTokens` and `nodes` are per sequence (means); a verify of 7 nodes has 8 rows per sequence. */
export type CostPoint =
  | { readonly kind: 'decode'; readonly batch: number; readonly contextTokens: number; readonly ms: number }
  | { readonly kind: 'verify'; readonly batch: number; readonly nodes: number; readonly contextTokens: number; readonly ms: number }
  | { readonly kind: 'cell'; readonly cellTokens: number; readonly contextTokens: number; readonly ms: number }

type RunPoint = Exclude<CostPoint, { kind: 'cell' }>
type CellPoint = Extract<CostPoint, { kind: 'cell' }>

function nodesOf(point: RunPoint): number {
  return point.kind === 'verify' ? point.nodes * point.batch : 0
}

function fitDecode(points: readonly RunPoint[]): DecodeCost {
  const rows = points.map((point) => [1, point.batch, nodesOf(point), point.batch * point.contextTokens])
  const [fixedMs = 0, perSequenceMs = 0, perNodeMs = 0, perContextTokenMs = 0] = fitNonNegative(rows, points.map(({ ms }) => ms))
  // A node costs a row of linear work, as a sequence does; without measured verifies that is the best guess.
  const measuredNodes = points.some((point) => point.kind === 'verify')
  return { fixedMs, perSequenceMs, perNodeMs: measuredNodes ? perNodeMs : perSequenceMs, perContextTokenMs }
}

function fitCell(points: readonly CellPoint[]): CellCost {
  const rows = points.map((point) => [1, point.cellTokens, cellPairs(point)])
  const [fixedMs = 0, perTokenMs = 0, perPairMs = 0] = fitNonNegative(rows, points.map(({ ms }) => ms))
  return { fixedMs, perTokenMs, perPairMs }
}

/**
 * Fits a fresh model (correctionRatio 1), least in relative error, all terms non-negative, with the fewest terms that
 * fit. With no cell points a cell costs what as many decode rows would, and the other way round.
 * Throws RangeError without any point, or when a point's ms is not positive.
 */
export function fitCostModel(points: readonly CostPoint[]): StepCostModel {
  const bad = points.find(({ ms }) => !(ms > 0))
  if (bad !== undefined) throw new RangeError(`cost point with ms ${bad.ms}: times must be positive`)
  const runs = points.filter((point) => point.kind !== 'cell')
  const cells = points.filter((point) => point.kind === 'cell')
  if (runs.length === 0 && cells.length === 0) throw new RangeError('a cost model needs at least one measured point')
  if (runs.length === 0) {
    const cell = fitCell(cells)
    const { fixedMs, perTokenMs, perPairMs } = cell
    return { decode: { fixedMs, perSequenceMs: perTokenMs, perNodeMs: perTokenMs, perContextTokenMs: perPairMs }, cell, correctionRatio: 1 }
  }
  const decode = fitDecode(runs)
  const asCell = { fixedMs: decode.fixedMs, perTokenMs: decode.perSequenceMs, perPairMs: decode.perContextTokenMs }
  return { decode, cell: cells.length > 0 ? fitCell(cells) : asCell, correctionRatio: 1 }
}

/** Mean of |predicted / measured - 1| over the points; 0 for none. */
export function costModelError(model: StepCostModel, points: readonly CostPoint[]): number {
  const errors = points.map((point) => {
    const predictedMs = point.kind === 'cell'
      ? predictCellMs(model, point)
      : predictDecodeMs(model, { batch: point.batch, contextTokensSum: point.batch * point.contextTokens, nodes: nodesOf(point) })
    return Math.abs(predictedMs / point.ms - 1)
  })
  return errors.length === 0 ? 0 : errors.reduce((sum, error) => sum + error, 0) / errors.length
}
