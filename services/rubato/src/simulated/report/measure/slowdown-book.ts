// How much slower requests were than alone on a reference machine, against the nine limits of Splitwise (ISCA'24, table VI).
// Deviation from its simulator: TBT is the true mean gap (over tokens - 1), for requests and reference alike.
import { SPLITWISE_SLO } from '@rubato/sim/reference'
import type { Percentiles } from '@rubato/sim/reference'
import { percentile } from '../../../bench/statistics.ts'
import type { PlannedRequest } from '../../workload/planned-request.ts'
import { NumberList } from './number-list.ts'
import type { SlowdownQuantiles, SlowdownReport } from '../trial-report.ts'

/** What a request takes that has the machine to itself. */
export interface ReferenceTimes {
  readonly ttftMs: number
  /** Each gap. */
  readonly tbtMs: number
}

export type ReferenceMachine = (promptTokens: number) => ReferenceTimes

type Measure = 'ttft' | 'tbt' | 'e2e'

export interface Latencies {
  readonly ttftMs: number | null
  readonly tpotMs: number | null
  readonly e2eMs: number | null
}

export class SlowdownBook {
  readonly #reference: ReferenceMachine
  readonly #ratios: Readonly<Record<Measure, NumberList>> = { ttft: new NumberList(), tbt: new NumberList(), e2e: new NumberList() }

  constructor(reference: ReferenceMachine) {
    this.#reference = reference
  }

  add({ promptTokens, outputTokens }: Pick<PlannedRequest, 'promptTokens' | 'outputTokens'>, { ttftMs, tpotMs, e2eMs }: Latencies): void {
    const { ttftMs: aloneMs, tbtMs } = this.#reference(promptTokens)
    if (ttftMs !== null) this.#ratios.ttft.push(ttftMs / aloneMs)
    if (tpotMs !== null) this.#ratios.tbt.push(tpotMs / tbtMs)
    if (e2eMs !== null) this.#ratios.e2e.push(e2eMs / (aloneMs + tbtMs * (outputTokens - 1)))
  }

  report(): SlowdownReport {
    const quantiles = { ttft: quantilesOf(this.#ratios.ttft), tbt: quantilesOf(this.#ratios.tbt), e2e: quantilesOf(this.#ratios.e2e) }
    const met = (['ttft', 'tbt', 'e2e'] as const).every((measure) => isWithin(quantiles[measure], SPLITWISE_SLO[measure]))
    return { ...quantiles, met }
  }
}

function quantilesOf(list: NumberList): SlowdownQuantiles {
  const sorted = list.sorted()
  return { p50: percentile(sorted, 50), p90: percentile(sorted, 90), p99: percentile(sorted, 99) }
}

/** What was never measured breaks no limit: outputs of one token have no gap. */
function isWithin({ p50, p90, p99 }: SlowdownQuantiles, limits: Percentiles): boolean {
  return (p50 ?? 0) < limits.p50 && (p90 ?? 0) < limits.p90 && (p99 ?? 0) < limits.p99
}
