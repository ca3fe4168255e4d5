// The instances of a swarm: steps long enough that much happens during one.
import { predictStepMs, speculationPolicy } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'
import type { SimInstanceSpec } from '../../cluster/index.ts'
import type { PlannedInstance } from '../draw/plan.ts'
import { SWARM_SHAPE } from '../draw/shape.ts'

const COST: StepCostModel = {
  decode: { fixedMs: 8, perSequenceMs: 0.5, perNodeMs: 0.3, perContextTokenMs: 0.001 },
  cell: { fixedMs: 2, perTokenMs: 0.5, perPairMs: 0 },
  correctionRatio: 1,
}
const JITTER_RATIO = 0.3
const LINK_LATENCY_MS = 0.3
const DRAFT_LEVEL_MS = 1

/** `slowness`: how many times longer its steps take at this moment. */
export function instanceSpec(planned: PlannedInstance, slowness: () => number): SimInstanceSpec {
  const { name, role, numBlocks, maxNumSeqs, maxNumBatchedTokens, batching, speculation, draftRatio, kvBytesPerSec } = planned
  return {
    name, role, shape: { ...SWARM_SHAPE, numBlocks }, costModel: COST, batching, limits: { maxNumSeqs, maxNumBatchedTokens },
    timer: { stepMs: (work) => predictStepMs(COST, work) * planned.slowness * slowness() },
    speculation: speculation === null ? null : speculationPolicy(speculation, draftRatio === null ? { proposer: 'ngram' } : {}),
    drafts: draftRatio === null ? null : { goodRatio: draftRatio, levelMs: DRAFT_LEVEL_MS },
    link: { bytesPerSec: kvBytesPerSec, latencyMs: LINK_LATENCY_MS }, jitterRatio: JITTER_RATIO,
  }
}
