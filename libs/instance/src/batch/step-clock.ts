// How far measured step times are from the cost model's, as a ratio that policies multiply their predictions by.
import type { StepResult } from '@rubato/model'
import { correctCostModel, predictStepMs } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'
import type { PlannedStep } from './planned-step.ts'

const PLAIN_DECODE = { contextTokens: 0 }

export class StepClock {
  #model: StepCostModel | null

  /** null: nothing to correct, the ratio stays 1. */
  constructor(model: StepCostModel | null) {
    this.#model = model
  }

  /** Corrected so far; null: there is none. */
  get model(): StepCostModel | null {
    return this.#model
  }

  get correctionRatio(): number {
    return this.#model?.correctionRatio ?? 1
  }

  observe({ command, decodeContextTokens }: PlannedStep, { stepMs }: StepResult): void {
    if (this.#model === null) return
    const { cells, decodes } = command
    // Context costs the same in every run: it is all counted with the first decode.
    const predictedMs = predictStepMs(this.#model, {
      cells: cells.map(({ count, start }) => ({ cellTokens: count, contextTokens: start })),
      decodes: decodes.map(({ tree }, place) => {
        if (tree === null) return place === 0 ? { contextTokens: decodeContextTokens } : PLAIN_DECODE
        return { contextTokens: place === 0 ? decodeContextTokens : 0, nodes: tree.tokenIds.length }
      }),
    })
    this.#model = correctCostModel(this.#model, predictedMs, stepMs)
  }
}
