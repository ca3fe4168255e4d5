// The targets that requests are given where their class has none.
import { SPLITWISE_SLO } from '@rubato/sim/reference'
import type { ReferenceMachine } from '../../report/measure/slowdown-book.ts'
import type { SloSpec } from '../../scenario/scenario.ts'
import type { Targets } from '../../workload/planned-request.ts'

const NO_TARGETS: Targets = { ttftMs: null, tpotMs: null }

/** Against a reference machine each request is given its P90 limits as targets of its own: nine limits on percentiles are nothing that one request could keep. */
export function targetsOf(slo: SloSpec | null, reference: ReferenceMachine | null): (lengths: { readonly promptTokens: number }) => Targets {
  if (slo === null) return () => NO_TARGETS
  if (reference === null) return () => ({ ttftMs: slo.ttftMs, tpotMs: slo.tpotMs })
  return ({ promptTokens }) => {
    const { ttftMs, tbtMs } = reference(promptTokens)
    return { ttftMs: ttftMs * SPLITWISE_SLO.ttft.p90, tpotMs: tbtMs * SPLITWISE_SLO.tbt.p90 }
  }
}
