// What the dispatch policy sees: the instances that may take a request, as their last reports and what was sent to them
// since describe them, and the request itself.
import type { DispatchInstance, DispatchRequest } from '@rubato/policy'
import type { Instance, LiveRequest } from '../state/request.ts'
import type { RouterState } from '../state/router-state.ts'

/** Instances that may take the request now, and are believed to live. Forgets what no longer speaks against one. */
export function candidates(state: RouterState, request: LiveRequest, nowMs: number): Instance[] {
  for (const [instanceId, untilMs] of request.avoid) if (untilMs <= nowMs) request.avoid.delete(instanceId)
  const isSuspect = isSuspected(state, request)
  const serving = state.instances
    .serving(request.model.fingerprint)
    .filter((instance) => !request.avoid.has(instance.id) && !(isSuspect && instance.onTrial !== null && !guards(instance)))
  const { quietMs } = state.parts.config.timing
  const speaking = serving.filter((instance) => nowMs - instance.lastHeardMs < quietMs)
  return speaking.length > 0 ? speaking : serving
}

/** So many instances died before they served it that one more convicts it. With a limit of one death, nobody ever is. */
export function isSuspected(state: RouterState, { numLosses }: LiveRequest): boolean {
  return numLosses > 0 && numLosses >= state.parts.config.migrationLimit - 1
}

/** Whether the instance holds a guarded request, one of a former minor does not: that is on trial as soon as it is sent. */
export function guards({ load }: Instance): boolean {
  return load?.guards === true
}

export function dispatchInstances(state: RouterState, record: LiveRequest, instances: readonly Instance[]): DispatchInstance[] {
  const hits = state.prefixes.overlap(record.model.fingerprint, record.promptIds, record.request.cacheSalt)
  return instances.flatMap((instance) => {
    const described = describe(instance, hits.get(instance.id) ?? 0)
    return described === null ? [] : [described]
  })
}

export function dispatchRequest(state: RouterState, { request, promptIds, sampling, choices }: LiveRequest): DispatchRequest {
  const live = choices.filter((choice) => !choice.ended)
  return {
    requestId: request.requestId,
    ordinal: state.numDispatches,
    promptTokens: promptIds.length,
    emittedTokens: choices.reduce((sum, choice) => sum + choice.tokenIds.length, 0),
    maxNewTokens: Math.max(0, ...live.map((choice) => sampling!.maxTokens - choice.tokenIds.length)),
    numChoices: live.length,
    ttftMs: request.slo.ttftMs,
    tpotMs: request.slo.tpotMs,
    priority: request.priority,
  }
}

/** Counts a dispatch against its instances until they report: the prompt where it is computed, the sequences where they decode. */
export function countSent(record: LiveRequest, prefill: Instance, decode: Instance): void {
  const live = record.choices.filter((choice) => !choice.ended)
  const emittedTokens = live.reduce((sum, choice) => sum + choice.tokenIds.length, 0)
  const promptTokens = record.promptIds.length
  // Choices share the blocks of their prompt.
  const blocksOf = ({ load }: Instance): number => (load === null ? 0 : Math.ceil((promptTokens + emittedTokens) / load.blockSize))
  prefill.sent.prefillTokens += promptTokens + emittedTokens
  prefill.sent.blocks += blocksOf(prefill)
  decode.sent.sequences += live.length
  decode.sent.contextTokens += promptTokens * live.length + emittedTokens
  if (decode !== prefill) decode.sent.blocks += blocksOf(decode)
}

function describe({ id, load, sent }: Instance, hitTokens: number): DispatchInstance | null {
  if (load === null) return null
  return {
    instanceId: id,
    role: load.role,
    pendingPrefillTokens: load.pendingPrefillTokens + sent.prefillTokens,
    numSequences: load.numRunning + load.numWaiting + sent.sequences,
    contextTokens: load.contextTokens + sent.contextTokens,
    availableBlocks: Math.max(0, load.freeBlocks + load.cachedBlocks - sent.blocks),
    totalBlocks: load.totalBlocks,
    freenessBlocks: (load.freenessBlocks * Math.max(1, load.numRunning) - sent.blocks) / Math.max(1, load.numRunning + sent.sequences),
    blockSize: load.blockSize,
    blockBytes: load.blockBytes,
    cellTokens: load.cellTokens,
    costModel: load.costModel,
    hitTokens,
    shipsKv: load.kvAddress !== null,
    pullBytesPerSec: load.pullBytesPerSec,
  }
}
