// Step times from a start-up profile of a real engine: the fitted model, corrected so that every measured point takes what was
// measured, with the correction interpolated in between. The engine runs a step as a sequence of runs: every cell is one,
// and decodes make one per bucket of rows per sequence.
import { fitCostModel, predictCellMs, predictDecodeMs, runBucket } from '@rubato/policy'
import type { CellWork, CostPoint } from '@rubato/policy'
import type { StepTimer } from '../step-timer.ts'
import { ratioAt, ratioTree } from './measured-ratios.ts'
import type { RatioPoint } from './measured-ratios.ts'

/** Draft trees have at most 2 ** 15 nodes: one run per bucket of rows. */
const NUM_BUCKETS = 16

/** The decodes of one run, summed. */
interface Run {
  batch: number
  contextTokensSum: number
  nodes: number
}

/** Throws RangeError without any point, or when a point's ms is not positive. */
export function profileTimer(points: readonly CostPoint[]): StepTimer {
  const model = fitCostModel(points)
  const cellPoints: RatioPoint[] = []
  const runPoints: RatioPoint[] = []
  for (const point of points) {
    if (point.kind === 'cell') {
      cellPoints.push({ coordinates: [point.cellTokens, point.contextTokens], ratio: point.ms / predictCellMs(model, point) })
      continue
    }
    const { batch, contextTokens } = point
    const nodes = point.kind === 'verify' ? point.nodes : 0
    const fittedMs = predictDecodeMs(model, { batch, contextTokensSum: batch * contextTokens, nodes: batch * nodes })
    runPoints.push({ coordinates: [nodes, batch, contextTokens], ratio: point.ms / fittedMs })
  }
  const [cellRatios, runRatios] = [ratioTree(cellPoints), ratioTree(runPoints)]
  const [cellPlace, runPlace] = [[0, 0], [0, 0, 0]]
  const cellMs = (cell: CellWork): number => {
    [cellPlace[0], cellPlace[1]] = [cell.cellTokens, cell.contextTokens]
    return predictCellMs(model, cell) * (cellRatios === null ? 1 : ratioAt(cellRatios, cellPlace))
  }
  const runMs = (run: Run): number => {
    const { batch, contextTokensSum, nodes } = run;
    [runPlace[0], runPlace[1], runPlace[2]] = [nodes / batch, batch, contextTokensSum / batch]
    return predictDecodeMs(model, run) * (runRatios === null ? 1 : ratioAt(runRatios, runPlace))
  }
  const runs = Array.from({ length: NUM_BUCKETS }, (): Run => ({ batch: 0, contextTokensSum: 0, nodes: 0 }))
  return {
    stepMs({ cells, decodes }) {
      for (const run of runs) [run.batch, run.contextTokensSum, run.nodes] = [0, 0, 0]
      for (const { contextTokens, nodes } of decodes) {
        const run = runs[Math.log2(runBucket(1 + nodes))]!
        run.batch += 1
        run.contextTokensSum += contextTokens
        run.nodes += nodes
      }
      let totalMs = 0
      for (const cell of cells) totalMs += cellMs(cell)
      for (const run of runs) if (run.batch > 0) totalMs += runMs(run)
      return totalMs
    },
  }
}
