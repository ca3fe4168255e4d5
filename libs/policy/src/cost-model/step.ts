// The predicted time of a whole step: its cells, one run each, then its decodes, one run per number of nodes.
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

/** Predicted time of a step, in milliseconds; 0 when it is empty. */
export function predictStepMs(model: StepCostModel, work: StepWork): number {
  let totalMs = 0
  for (const cell of work.cells) totalMs += predictCellMs(model, cell)
  const buckets = new Map<number, { batch: number; contextTokensSum: number }>()
  for (const { contextTokens, nodes } of work.decodes) {
    const bucket = buckets.get(nodes)
    if (bucket === undefined) {
      buckets.set(nodes, { batch: 1, contextTokensSum: contextTokens })
      continue
    }
    bucket.batch += 1
    bucket.contextTokensSum += contextTokens
  }
  for (const [nodes, { batch, contextTokensSum }] of buckets) totalMs += predictDecodeMs(model, { batch, contextTokensSum, nodes: nodes * batch })
  return totalMs
}
