// Which instance takes a request: least predicted pending work. Pure; ties fall by a hash of the request, so that
// several routers with the same view neither herd on one instance nor need randomness.

/** One instance as its last load report and what was sent to it since describe it. */
export interface DispatchCandidate {
  readonly instanceId: string
  /** Prompt tokens reported as pending plus those dispatched since. */
  readonly pendingPrefillTokens: number
  /** Sequences running and waiting as reported plus those dispatched since. */
  readonly numSequences: number
  /** KV blocks free or reclaimable, 0..1 of all. */
  readonly freeBlocksRatio: number
}

/**
 * Prompt tokens whose compute equals what one live sequence still has to decode: a decode token costs about as much as a
 * few prefill tokens, and a sequence is met half-way on average.
 */
export const SEQUENCE_WORK_TOKENS = 128
/** Below this an instance is about to preempt; it is chosen only when all are. */
const SCARCE_BLOCKS_RATIO = 0.02

/** The least loaded candidate, null when there is none. O(candidates). */
export function leastLoaded<T extends DispatchCandidate>(candidates: readonly T[], requestId: string): T | null {
  let best: T | null = null
  for (const candidate of candidates) {
    if (best === null || precedes(candidate, best, requestId)) best = candidate
  }
  return best
}

/** Pending work in prompt tokens. */
export function predictedWorkTokens(candidate: DispatchCandidate): number {
  return candidate.pendingPrefillTokens + SEQUENCE_WORK_TOKENS * candidate.numSequences
}

function precedes(a: DispatchCandidate, b: DispatchCandidate, requestId: string): boolean {
  const aScarce = a.freeBlocksRatio < SCARCE_BLOCKS_RATIO
  if (aScarce !== b.freeBlocksRatio < SCARCE_BLOCKS_RATIO) return !aScarce
  const difference = predictedWorkTokens(a) - predictedWorkTokens(b)
  if (difference !== 0) return difference < 0
  const aHash = pairHash(requestId, a.instanceId)
  const bHash = pairHash(requestId, b.instanceId)
  return aHash === bHash ? a.instanceId < b.instanceId : aHash < bHash
}

/** FNV-1a with a final mix: rendezvous hashing of (request, instance). */
function pairHash(requestId: string, instanceId: string): number {
  let hash = 0x811c9dc5
  const text = `${requestId}\n${instanceId}`
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
