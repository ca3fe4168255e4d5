// What policies compare instances by.
import type { DispatchInstance, DispatchRequest } from '../snapshot.ts'

/**
 * Prompt tokens whose compute equals what one live sequence still has to decode: a decode token costs about as much as a
 * few prefill tokens, and a sequence is met half-way on average.
 */
export const SEQUENCE_WORK_TOKENS = 128
/** Below this share of available blocks an instance is about to preempt. */
const SCARCE_BLOCKS_RATIO = 0.02
/** Room asked for beyond the prompt, per choice: not the whole output, which mostly ends early. */
const OUTPUT_ROOM_TOKENS = 64
/** Llumnix takes an instance with fewer free blocks per running request for overloaded. */
const LOW_FREENESS_BLOCKS = 3

/** Pending work in prompt tokens. */
export function pendingWorkTokens(instance: DispatchInstance): number {
  return instance.pendingPrefillTokens + SEQUENCE_WORK_TOKENS * instance.numSequences
}

/** Tokens that have to be in KV before the next one is sampled: the prompt and, after a recovery, what was emitted. */
export function knownTokens(request: DispatchRequest): number {
  return request.promptTokens + request.emittedTokens
}

/** Hit tokens that save compute: whole cells, and never all of the prompt. */
export function usableHitTokens(request: DispatchRequest, instance: DispatchInstance): number {
  const mostTokens = Math.min(instance.hitTokens, knownTokens(request) - 1)
  return Math.max(0, Math.floor(mostTokens / instance.cellTokens) * instance.cellTokens)
}

/** Which of the request's two phases run on an instance. */
export type Duty = 'prompt' | 'decode' | 'both'

/** Blocks for this duty, with some output where it decodes. */
export function neededBlocks(request: DispatchRequest, blockSize: number, duty: Duty): number {
  const outputTokens = duty === 'prompt' ? 0 : request.numChoices * Math.min(request.maxNewTokens, OUTPUT_ROOM_TOKENS)
  return Math.ceil((knownTokens(request) + outputTokens) / blockSize)
}

/** 0: has room. 1: low freeness. 2: blocks are scarce, or too few for this request. */
export type Tightness = 0 | 1 | 2

/** An instance that has not reported its blocks yet has room. */
export function tightness(request: DispatchRequest, instance: DispatchInstance, duty: Duty): Tightness {
  if (instance.totalBlocks === 0) return 0
  if (instance.availableBlocks < SCARCE_BLOCKS_RATIO * instance.totalBlocks) return 2
  if (instance.availableBlocks < neededBlocks(request, instance.blockSize, duty)) return 2
  return instance.freenessBlocks < LOW_FREENESS_BLOCKS ? 1 : 0
}
