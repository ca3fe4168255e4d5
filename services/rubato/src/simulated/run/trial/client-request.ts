// A planned request as a client sends it: greedy as to length, so that it yields exactly its planned tokens.
import type { ClientRequest } from '@rubato/service-router'
import type { PlannedRequest } from '../../workload/planned-request.ts'
import { promptTokenIds } from '../../workload/prompt-tokens.ts'

const ID_PREFIX = 'q'

/** `seed` is the trial's. */
export function clientRequest(planned: PlannedRequest, seed: number, model: { readonly id: string; readonly vocabSize: number }): ClientRequest {
  return {
    requestId: `${ID_PREFIX}${planned.index}`, model: model.id, input: { kind: 'tokens', tokenIds: promptTokenIds(planned, seed, model.vocabSize) },
    sampling: {
      maxTokens: planned.outputTokens, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
      logitBias: [], seed: planned.index, stopTokenIds: [], ignoreEos: true, logprobs: null,
    },
    n: 1, stop: [], slo: planned.targets, priority: planned.priority, cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
  }
}

/** Position in the plan of the request with this id. */
export function plannedIndex(requestId: string): number {
  return Number(requestId.slice(ID_PREFIX.length))
}
