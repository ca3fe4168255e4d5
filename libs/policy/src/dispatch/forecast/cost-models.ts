// Which cost model predicts for an instance that reported none.
import type { StepCostModel } from '../../cost-model/model.ts'
import type { DispatchInstance } from '../snapshot.ts'

/** Only its proportions matter: a sequence's decoding against prompt tokens, as of a small model on a CPU. */
const NOMINAL_MODEL: StepCostModel = {
  decode: { fixedMs: 3, perSequenceMs: 0.4, perNodeMs: 0.4, perContextTokenMs: 0.0004 },
  cell: { fixedMs: 2, perTokenMs: 0.3, perPairMs: 0.00005 },
  correctionRatio: 1,
}

export interface FallbackModel {
  readonly model: StepCostModel
  /** False: nothing was measured anywhere; predictions compare choices but are no times. */
  readonly isMeasured: boolean
}

/** Instances of one pool run one model, mostly on like machines: the one with the smallest id that knows its cost speaks for the rest. */
export function fallbackModel(instances: readonly DispatchInstance[]): FallbackModel {
  let source: DispatchInstance | null = null
  for (const instance of instances) {
    if (instance.costModel !== null && (source === null || instance.instanceId < source.instanceId)) source = instance
  }
  if (source === null || source.costModel === null) return { model: NOMINAL_MODEL, isMeasured: false }
  return { model: source.costModel, isMeasured: true }
}
