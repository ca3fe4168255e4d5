// A prefill instance whose every prompt takes the same time, for the DistServe reference's own event loop: what the
// closed formulas of mean-ttft.ts are checked against.
import type { DistServeInstance } from '../distserve/pipeline.ts'
import type { ReferenceRequest } from '../trace.ts'

/** Length of every prompt, and all that a batch takes: prompts run one by one. */
const PROMPT_TOKENS = 1

/** `stageMs`: time of one prompt on each of its stages. Prefill only. */
export function constantServiceInstance(stageMs: number, numStages: number): DistServeInstance {
  return { times: { prefillMs: () => stageMs, decodeMs: () => 0 }, numStages, capacityTokens: PROMPT_TOKENS }
}

export function constantServiceRequest(arrivalMs: number): ReferenceRequest {
  return { arrivalMs, promptTokens: PROMPT_TOKENS, outputTokens: 1 }
}
