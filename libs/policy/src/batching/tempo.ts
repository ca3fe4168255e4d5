// Stall-free batching on borrowed time (tempo rubato): decodes that are ahead of their TPOT targets lend a step to prompts that
// would miss their TTFT beside them, and have the time back within a few tokens. All other steps are Sarathi-Serve's.
//
// 1. Only targets lend and borrow: without them this is `sarathi`.
// 2. A step is borrowed for a prompt that it saves. One that is late already, or would be late even so, gets none.
// 3. No decode lends more than it has back, at the predicted pace, within LOAN_TOKENS more tokens: its mean gap stays within its target.
import type { StepCostModel } from '../cost-model/model.ts'
import { predictStepMs } from '../cost-model/step.ts'
import { GrantLedger, grantCells, predictPrefillMs, serviceOrder } from './grants.ts'
import { DEFAULT_SAFETY_RATIO, URGENT_RATIO, sarathi } from './sarathi.ts'
import type { SarathiOptions } from './sarathi.ts'
import type { BatchingPolicy, BatchingSnapshot, BatchPlan, DecodeDemand, PrefillDemand } from './snapshot.ts'

/** None lends less than half of what it gains, 8 as much as 32 (OPT-13B on A100, chat lengths, 250 ms and 100 ms). */
const LOAN_TOKENS = 8

/** Milliseconds that every decode can spare at once; 0 or less: none. A decode without a target spares nothing. */
function spareMsOf(decodes: readonly DecodeDemand[], decodeMs: number, safetyRatio: number): number {
  let least = Infinity
  for (const { tpotMs, aheadMs = 0 } of decodes) {
    if (tpotMs === null) return 0
    least = Math.min(least, aheadMs + (1 + LOAN_TOKENS) * (safetyRatio * tpotMs - decodeMs))
  }
  return least
}

/** The first of the order of service, up to the last one that makes its target by itself and might not beside the decodes. */
function hurried(order: readonly PrefillDemand[], decodeMs: number, model: StepCostModel): readonly PrefillDemand[] {
  let [aloneMs, besideMs, numHurried] = [0, 0, 0]
  for (const [index, prefill] of order.entries()) {
    const { cellTokens, ttftSlackMs } = prefill
    const prefillMs = predictPrefillMs(model, prefill)
    aloneMs += prefillMs
    besideMs += prefillMs + cellTokens.length * decodeMs
    if (ttftSlackMs !== null && aloneMs <= ttftSlackMs && ttftSlackMs <= URGENT_RATIO * besideMs) numHurried = index + 1
  }
  return order.slice(0, numHurried)
}

/** Cells by themselves, on time borrowed from the decodes; null: nobody needs it, or they have none to lend. */
function borrowedStep(snapshot: BatchingSnapshot, model: StepCostModel, safetyRatio: number): BatchPlan | null {
  const { decodes, prefills } = snapshot
  if (decodes.length === 0 || prefills.every(({ ttftSlackMs }) => ttftSlackMs === null)) return null
  const decodeMs = predictStepMs(model, { cells: [], decodes })
  const spareMs = spareMsOf(decodes, decodeMs, safetyRatio)
  if (spareMs <= 0) return null
  const ledger = new GrantLedger(snapshot, 0)
  let stepMs = 0
  const fits = (cellMs: number): boolean => (stepMs += cellMs) <= spareMs
  for (const prefill of hurried(serviceOrder(snapshot), decodeMs, model)) if (!grantCells(ledger, prefill, model, fits)) break
  return ledger.numCells > 0 ? ledger.plan(false) : null
}

/** Stall-free batching that borrows steps from decodes with time to spare for prompts without. */
export function tempo(options: SarathiOptions): BatchingPolicy {
  const shared = sarathi(options)
  const { costModel, safetyRatio = DEFAULT_SAFETY_RATIO } = options
  return (snapshot) => borrowedStep(snapshot, { ...costModel, correctionRatio: snapshot.correctionRatio }, safetyRatio) ?? shared(snapshot)
}
