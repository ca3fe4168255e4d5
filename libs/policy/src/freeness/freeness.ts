// How much room an instance has, as one number that balancing, de-fragmentation and priorities share: Llumnix (OSDI'24) §4.3-4.4,
// Algorithm 1. Deviation: a draining instance says so in its load report instead of holding a fake request of infinite usage.
import type { StepCostModel } from '../cost-model/model.ts'

export interface FreenessLoad {
  readonly totalBlocks: number
  /** Held by running requests; blocks that are only cached are room. */
  readonly usedBlocks: number
  /** Running requests: the batch. */
  readonly numRunning: number
  /** Blocks that the first waiting request needs for its prompt; 0: none waits. The ones behind it count nothing. */
  readonly headOfLineBlocks: number
  /** Running requests of high execution priority (below 0). */
  readonly numHighPriority: number
  /** Kept free around high priority, shared by all such requests; see decodeHeadroomBlocks. */
  readonly headroomBlocks: number
}

/** A step this much slower than that of an empty instance is still the ideal speed. */
const IDEAL_STEP_RATIO = 1.25

/** Blocks in use, demanded and kept free. */
export function virtualUsageBlocks(load: FreenessLoad): number {
  return load.usedBlocks + load.headOfLineBlocks + (load.numHighPriority > 0 ? load.headroomBlocks : 0)
}

/**
 * Decode iterations left before memory runs out, in blocks per running request: (M - sum V) / B, with B at least 1. Negative when
 * overloaded. Always finite.
 */
export function freenessBlocks(load: FreenessLoad): number {
  return (load.totalBlocks - virtualUsageBlocks(load)) / Math.max(1, load.numRunning)
}

/**
 * Headroom of high priority: capacity less the context at which a decode step is still within 1.25 times its time on an empty
 * instance. 0 where context costs nothing or where no model is known.
 */
export function decodeHeadroomBlocks(model: StepCostModel | null, { totalBlocks, blockSize }: { readonly totalBlocks: number; readonly blockSize: number }): number {
  if (model === null || !(model.decode.perContextTokenMs > 0)) return 0
  const { fixedMs, perSequenceMs, perContextTokenMs } = model.decode
  const idealTokens = ((IDEAL_STEP_RATIO - 1) * (fixedMs + perSequenceMs)) / perContextTokenMs
  return Math.max(0, totalBlocks - Math.ceil(idealTokens / blockSize))
}
