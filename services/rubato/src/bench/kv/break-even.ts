// What handing KV over costs against computing it again, by context length.
import { predictCellMs } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'

/** What a hand-off of any size costs, and what each block adds. */
export interface HandOffCost {
  readonly fixedMs: number
  readonly transferMsPerBlock: number
  /** Reading blocks out of one engine and writing them into the other. */
  readonly engineMsPerBlock: number
}

export interface PromptShape {
  readonly blockSize: number
  readonly cellTokens: number
  readonly blockBytes: number
}

export interface BreakEven {
  readonly contextTokens: number
  readonly numBlocks: number
  readonly transferMs: number
  /** Transfer with the engines' share. */
  readonly handOffMs: number
  readonly prefillMs: number
  /** handOffMs / prefillMs: below 1 shipping is faster. */
  readonly ratio: number
  /** Link rate below which computing the prompt again is faster; null: at no rate is shipping faster. */
  readonly breakEvenBytesPerSec: number | null
}

/** Time of a whole prompt in cells, nothing else running. */
export function prefillMs(model: StepCostModel, promptTokens: number, cellTokens: number): number {
  let totalMs = 0
  for (let start = 0; start < promptTokens; start += cellTokens) {
    totalMs += predictCellMs(model, { cellTokens: Math.min(cellTokens, promptTokens - start), contextTokens: start })
  }
  return totalMs
}

/** The comparison at one context length, with the whole prompt handed over after it was computed: nothing overlaps. */
export function breakEven(model: StepCostModel, shape: PromptShape, cost: HandOffCost, contextTokens: number): BreakEven {
  const numBlocks = Math.ceil(contextTokens / shape.blockSize)
  const transferMs = cost.fixedMs + numBlocks * cost.transferMsPerBlock
  const engineMs = numBlocks * cost.engineMsPerBlock
  const recomputeMs = prefillMs(model, contextTokens, shape.cellTokens)
  const leftMs = recomputeMs - engineMs - cost.fixedMs
  return {
    contextTokens,
    numBlocks,
    transferMs,
    handOffMs: transferMs + engineMs,
    prefillMs: recomputeMs,
    ratio: (transferMs + engineMs) / recomputeMs,
    breakEvenBytesPerSec: leftMs > 0 ? ((numBlocks * shape.blockBytes) / leftMs) * 1000 : null,
  }
}
