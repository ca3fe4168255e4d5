// A load report of an idle instance, for tests of those who read reports.
import type { LoadMessage } from '@rubato/instance'

/** Instance `instanceId` of model `f1` with 100 free blocks of 16 tokens, as it reports when nothing runs. */
export function idleLoad(instanceId: string, overrides: Partial<LoadMessage> = {}): LoadMessage {
  return {
    kind: 'load', instanceId, incarnation: 1, address: `instance/${instanceId}`, role: 'mixed', kvAddress: null, modelFingerprint: 'f1', maxModelLen: 64,
    draining: false, numRunning: 0, numWaiting: 0, pendingPrefillTokens: 0, freeBlocks: 100, cachedBlocks: 0, totalBlocks: 100, preemptionsTotal: 0,
    prefixQueryTokensTotal: 0, prefixHitTokensTotal: 0, lastStepMs: 1, contextTokens: 0, freenessBlocks: 100, blockSize: 16, blockBytes: 65_536,
    cellTokens: 32, costModel: null, pullBytesPerSec: null,
    migrations: { numActive: 0, inTotal: 0, outTotal: 0, abortedTotal: 0, downtimeMsTotal: 0 }, guards: true, ...overrides,
  }
}
