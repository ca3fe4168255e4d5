// How far measured step times are from the cost model's, as a ratio that policies multiply their predictions by.
import type { StepResult } from '@rubato/model'
import { correctCostModel, predictCellMs, predictDecodeMs } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'
import type { PlannedStep } from './planned-step.ts'

export class StepClock {
  #model: StepCostModel | null

  /** null: nothing to correct, the ratio stays 1. */
  constructor(model: StepCostModel | null) {
    this.#model = model
  }

  get correctionRatio(): number {
    return this.#model?.correctionRatio ?? 1
  }

  observe({ command, decodeContextTokens }: PlannedStep, { stepMs }: StepResult): void {
    if (this.#model === null) return
    const { cells, decodes } = command
    let predictedMs = predictDecodeMs(this.#model, { batch: decodes.length, contextTokensSum: decodeContextTokens, nodes: 0 })
    for (const { count, start } of cells) predictedMs += predictCellMs(this.#model, { cellTokens: count, contextTokens: start })
    this.#model = correctCostModel(this.#model, predictedMs, stepMs)
  }
}
