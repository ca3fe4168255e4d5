// The report of a fleet plan. Field names are an interface to scripts.
import { loadedBuckets } from '@rubato/plan'
import type { FleetOutcome, FleetProblem, SingleType, SizeBucket } from '@rubato/plan'
import { renderTable } from '../../cli/table.ts'
import type { SimulatedAttainment } from './simulated-fleet.ts'

export interface FleetReport {
  readonly outcome: FleetOutcome['kind']
  /** Requests per second. */
  readonly rate: number
  readonly slice_factor: number
  readonly headroom: number
  /** Share of requests larger than the largest bucket, which counts them. */
  readonly beyond_grid: number
  readonly cost_per_hour: number | null
  /** No fleet costs less; equal to the cost when the plan is optimal. */
  readonly bound_per_hour: number | null
  readonly gap: number | null
  readonly fleet: readonly { readonly type: string; readonly count: number; readonly load: number; readonly cost_per_hour: number }[]
  readonly single_types: readonly { readonly type: string; readonly outcome: SingleType['kind']; readonly count: number | null; readonly cost_per_hour: number | null; readonly saving: number | null }[]
  /** Where requests go: buckets with load only. `input` and `output` are upper edges; null: the file does not name sizes. */
  readonly dispatch: readonly { readonly bucket: number; readonly input: number | null; readonly output: number | null; readonly rate: number; readonly weights: Readonly<Record<string, number>> }[]
  readonly unservable: readonly { readonly bucket: number; readonly input: number | null; readonly output: number | null }[]
  /** What the plan promises is full attainment; null: it was not simulated. */
  readonly simulated: { readonly policies: string; readonly num_requests: number; readonly attainment: number; readonly p99_ttft_ms: number | null; readonly p99_tpot_ms: number | null } | null
}

export interface FleetFindings {
  readonly problem: FleetProblem
  /** By bucket; null: not known. */
  readonly sizes: readonly SizeBucket[] | null
  readonly beyondRatio: number
  readonly outcome: FleetOutcome
  readonly singles: readonly SingleType[]
  readonly simulated: SimulatedAttainment | null
}

export function fleetReport({ problem, sizes, beyondRatio, outcome, singles, simulated }: FleetFindings): FleetReport {
  const { types, ratePerSec, sliceFactor, headroomRatio } = problem
  const plan = outcome.kind === 'planned' ? outcome.plan : null
  const edges = (bucket: number): { input: number | null; output: number | null } => ({ input: sizes?.[bucket]?.inputTokens ?? null, output: sizes?.[bucket]?.outputTokens ?? null })
  return {
    outcome: outcome.kind,
    rate: ratePerSec.reduce((sum, rate) => sum + rate, 0),
    slice_factor: sliceFactor, headroom: headroomRatio, beyond_grid: beyondRatio,
    cost_per_hour: plan?.usdPerHour ?? null, bound_per_hour: plan?.boundUsdPerHour ?? null, gap: plan?.gapRatio ?? null,
    fleet: plan === null ? [] : types.map(({ name, usdPerHour }, type) => ({ type: name, count: plan.counts[type]!, load: plan.loads[type]!, cost_per_hour: plan.counts[type]! * usdPerHour })),
    single_types: singles.map((single) => ({
      type: single.type, outcome: single.kind,
      count: single.kind === 'unservable' ? null : single.count,
      cost_per_hour: single.kind === 'enough' ? single.usdPerHour : null,
      saving: single.kind === 'enough' && plan !== null && single.usdPerHour > 0 ? 1 - plan.usdPerHour / single.usdPerHour : null,
    })),
    dispatch: plan === null ? [] : loadedBuckets(problem).map((bucket) => ({
      bucket, ...edges(bucket), rate: ratePerSec[bucket]!,
      weights: Object.fromEntries(types.flatMap(({ name }, type) => (plan.weights[bucket]![type] === 0 ? [] : [[name, plan.weights[bucket]![type]!]]))),
    })),
    unservable: outcome.kind === 'unservable' ? outcome.buckets.map((bucket) => ({ bucket, ...edges(bucket) })) : [],
    simulated: simulated === null ? null : {
      policies: simulated.policies, num_requests: simulated.numRequests, attainment: simulated.attainmentRatio, p99_ttft_ms: simulated.p99TtftMs, p99_tpot_ms: simulated.p99TpotMs,
    },
  }
}

const money = (value: number): string => value.toFixed(2)
const percent = (value: number): string => `${(100 * value).toFixed(1)} %`
const size = ({ bucket, input, output }: { readonly bucket: number; readonly input: number | null; readonly output: number | null }): string => (input === null ? `#${bucket}` : `${input} / ${output}`)

/** Lines for a terminal, without a trailing newline. */
export function renderFleetReport(report: FleetReport): string {
  return [
    headline(report),
    ...(report.beyond_grid === 0 ? [] : [`${percent(report.beyond_grid)} of the requests are larger than the largest bucket and count there.`]),
    ...(report.fleet.length === 0 ? [] : ['', renderTable(report.fleet.map(({ type, count, load, cost_per_hour: cost }) => [type, String(count), load.toFixed(2), money(cost)]), { head: ['Type', 'Count', 'Load', 'Cost per hour'] })]),
    '', renderTable(report.single_types.map((single) => [single.type, single.count === null ? '-' : String(single.count), single.cost_per_hour === null ? single.outcome : money(single.cost_per_hour), single.saving === null ? '-' : percent(single.saving)]), { head: ['Alone', 'Count', 'Cost per hour', 'Saved by the plan'] }),
    ...(report.dispatch.length === 0 ? [] : ['', renderTable(report.dispatch.map((one) => [size(one), one.rate.toFixed(2), Object.entries(one.weights).map(([type, weight]) => `${type} ${percent(weight)}`).join(', ')]), { head: ['Up to tokens in / out', 'Requests/s', 'Goes to'] })]),
    ...(report.simulated === null ? [] : ['', `Simulated with ${report.simulated.policies}: ${percent(report.simulated.attainment)} of ${report.simulated.num_requests} requests within the SLO; planned: all.`]),
  ].join('\n')
}

function headline(report: FleetReport): string {
  switch (report.outcome) {
    case 'planned':
      return `${report.rate.toFixed(2)} requests/s for ${money(report.cost_per_hour!)} per hour${report.gap === 0 ? ', and no fleet is cheaper' : `; the cheapest fleet costs at least ${money(report.bound_per_hour!)} (gap ${percent(report.gap!)})`}.`
    case 'unservable':
      return `Infeasible: no type serves ${report.unservable.map(size).join(', ')} (tokens in / out) within the SLO.`
    case 'short-of-stock':
      return 'Infeasible: all that is in stock does not carry the load.'
    case 'out-of-time':
      return 'No fleet was found within the time limit.'
  }
}
