// What one pipeline stage takes for a batch: the seam between the queueing model and a cost model.
import { decodeStageMs, handingOutMs, prefillStageMs } from '../../cost/distserve/distserve-profile.ts'
import type { DistServeForm } from '../../cost/distserve/distserve-profile.ts'

export interface PrefillLoad {
  readonly promptTokens: number
  /** Sum of the squared lengths. */
  readonly squaredPromptTokens: number
}

export interface DecodeLoad {
  readonly numRequests: number
  /** Sum of the contexts, without the tokens that the step makes. */
  readonly contextTokens: number
}

/** Milliseconds of one batch on one stage. The head stage is the first one of its pipeline. */
export interface StageTimes {
  prefillMs(load: PrefillLoad, isHead: boolean): number
  decodeMs(load: DecodeLoad, isHead: boolean): number
}

/** The stage times of `simdistserve`: the whole model's form over its stages, and what its heads take longer. */
export function distServeStageTimes(form: DistServeForm, numStages: number): StageTimes {
  return {
    prefillMs: ({ promptTokens, squaredPromptTokens }, isHead) =>
      prefillStageMs(form, promptTokens, squaredPromptTokens, numStages) + (isHead ? handingOutMs(promptTokens) : 0),
    decodeMs: ({ numRequests, contextTokens }, isHead) =>
      decodeStageMs(form, numRequests, contextTokens + numRequests, numStages) + (isHead ? handingOutMs(contextTokens) : 0),
  }
}
