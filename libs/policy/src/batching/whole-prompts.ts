// How both baselines grant prompts: whole ones only, first come first served. A prompt that no step could ever hold
// runs in as many of its cells as fit, so that it gets through at all.
import { GrantLedger, remainingTokens, serviceOrder } from './grants.ts'
import type { BatchingSnapshot, BatchPlan } from './snapshot.ts'

/** Plans whole prompts beside `decodeTokens` decodes (0: a prefill-only step). */
export function planWholePrompts(snapshot: BatchingSnapshot, decodeTokens: number): BatchPlan {
  const ledger = new GrantLedger(snapshot, decodeTokens)
  for (const prefill of serviceOrder(snapshot)) {
    const promptTokens = remainingTokens(prefill)
    const isOversized = promptTokens > snapshot.maxBatchedTokens
    if (!isOversized && !ledger.canGrant(promptTokens)) break
    if (!prefill.cellTokens.every((cellTokens) => ledger.grant(prefill, cellTokens))) break
  }
  return ledger.plan(decodeTokens > 0)
}
