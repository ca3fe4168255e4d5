// The predicted time of a whole step: its cells, one run each, then its decodes, one run per bucket of rows.
import { predictCellMs, predictDecodeMs } from './model.ts'
import type { CellWork, StepCostModel } from './model.ts'

export interface StepDecode {
  readonly contextTokens: number
  /** Draft nodes to verify; 0: plain decode. */
  readonly nodes: number
}

export interface StepWork {
  readonly cells: readonly CellWork[]
  readonly decodes: readonly StepDecode[]
}

/** What a prediction needs to know of a step; without nodes a decode is plain. */
interface PredictedWork {
  readonly cells: readonly CellWork[]
  readonly decodes: readonly { readonly contextTokens: number; readonly nodes?: number }[]
}

/** Rows of the widest sequence in a run, of those in the run before it. */
const BUCKET_RATIO = 8

/**
 * Decodes of 1, 2-8, 9-64, ... rows each run together: the rows of a sequence are its last token and its draft nodes. What is padded to
 * the widest of a run is attention alone, which costs less than one more run. The most rows of the run.
 */
export function runBucket(rows: number): number {
  return BUCKET_RATIO ** runPlace(rows)
}

/** Which of these runs, from 0 on. */
export function runPlace(rows: number): number {
  let place = 0
  for (let bucket = 1; bucket < rows; bucket *= BUCKET_RATIO) place += 1
  return place
}

/** Predicted time of a step, in milliseconds; 0 when it is empty. */
export function predictStepMs(model: StepCostModel, { cells, decodes }: PredictedWork): number {
  let totalMs = 0
  for (const cell of cells) totalMs += predictCellMs(model, cell)
  // Plain decodes, nearly always all there are, need no look at their bucket.
  let batch = 0
  let contextTokensSum = 0
  let verifies: Map<number, Run> | null = null
  for (const { contextTokens, nodes = 0 } of decodes) {
    if (nodes === 0) {
      batch += 1
      contextTokensSum += contextTokens
    } else verifies = withVerify(verifies ?? new Map(), contextTokens, nodes)
  }
  totalMs += predictDecodeMs(model, { batch, contextTokensSum, nodes: 0 })
  if (verifies !== null) for (const run of verifies.values()) totalMs += predictDecodeMs(model, run)
  return totalMs
}

type Run = { batch: number; contextTokensSum: number; nodes: number }

function withVerify(runs: Map<number, Run>, contextTokens: number, nodes: number): Map<number, Run> {
  const bucket = runBucket(1 + nodes)
  const run = runs.get(bucket)
  if (run === undefined) runs.set(bucket, { batch: 1, contextTokensSum: contextTokens, nodes })
  else {
    run.batch += 1
    run.contextTokensSum += contextTokens
    run.nodes += nodes
  }
  return runs
}
