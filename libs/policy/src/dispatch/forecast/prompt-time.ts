// Closed forms for prompts: what their cells cost together, without walking them.
import { predictCellMs, predictCellsMs } from '../../cost-model/model.ts'
import type { StepCostModel } from '../../cost-model/model.ts'

export interface PromptWork {
  /** Where compute starts: a multiple of cellTokens, below endTokens. */
  readonly hitTokens: number
  readonly endTokens: number
  readonly cellTokens: number
}

/** The sum of predictCellMs over the prompt's cells. */
export function predictPromptMs(model: StepCostModel, { hitTokens, endTokens, cellTokens }: PromptWork): number {
  const tokens = endTokens - hitTokens
  return predictCellsMs(model, { numCells: Math.ceil(tokens / cellTokens), contextTokens: hitTokens, tokens })
}

/** Time of the prompt's last cell, which nothing overlaps. */
export function predictLastCellMs(model: StepCostModel, { endTokens, cellTokens }: PromptWork): number {
  const lastTokens = lastCellTokens(endTokens, cellTokens)
  return predictCellMs(model, { cellTokens: lastTokens, contextTokens: endTokens - lastTokens })
}

export function lastCellTokens(endTokens: number, cellTokens: number): number {
  return endTokens - Math.floor((endTokens - 1) / cellTokens) * cellTokens
}

/** A whole cell in the middle of a prompt of this many tokens. */
export function predictMeanCellMs(model: StepCostModel, promptTokens: number, cellTokens: number): number {
  return predictCellMs(model, { cellTokens, contextTokens: Math.max(0, (promptTokens - cellTokens) / 2) })
}

/**
 * Time of the prompt tokens that wait in front. Their prompts are unknown: they are taken to be as long as the one at hand, whose
 * tokens see half of it on average.
 */
export function predictPendingMs(model: StepCostModel, pendingTokens: number, promptTokens: number, cellTokens: number): number {
  return (pendingTokens / cellTokens) * predictMeanCellMs(model, Math.min(pendingTokens, promptTokens), cellTokens)
}
