// Orca (OSDI'22) as a baseline: iteration-level hybrid steps of all decodes plus full prompts, whatever a long prompt
// does to the decodes' gaps.
import { decodeTokens } from './grants.ts'
import type { BatchingPolicy } from './snapshot.ts'
import { planWholePrompts } from './whole-prompts.ts'

/** All decodes plus as many full prompts as fit. */
export function orca(): BatchingPolicy {
  return (snapshot) => planWholePrompts(snapshot, decodeTokens(snapshot.decodes))
}
