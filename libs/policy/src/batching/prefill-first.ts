// vLLM's first scheduler as a baseline (Sarathi-Serve, OSDI'24 §3): whenever a prompt can run, a step of whole prompts
// only; decodes stall meanwhile.
import { decodeTokens } from './grants.ts'
import type { BatchingPolicy, BatchingSnapshot } from './snapshot.ts'
import { planWholePrompts } from './whole-prompts.ts'

/** Prefill-only steps while any prompt can be served, else decode-only steps. */
export function prefillFirst(): BatchingPolicy {
  return (snapshot: BatchingSnapshot) => {
    const prefillOnly = planWholePrompts(snapshot, 0)
    if (prefillOnly.cells.length > 0) return prefillOnly
    return { runDecodes: snapshot.decodes.length > 0, cells: [], budgetTokens: Math.max(snapshot.maxBatchedTokens, decodeTokens(snapshot.decodes)) }
  }
}
