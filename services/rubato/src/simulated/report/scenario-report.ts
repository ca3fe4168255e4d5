// The report of a scenario: every trial and search, and how the variants compare. Field names are an interface to scripts.
import { median } from '../../bench/statistics.ts'
import type { PrimaryMetric } from '../scenario/primary-metrics.ts'
import { numDevices } from '../scenario/scenario.ts'
import type { Limits, Policies, Scenario } from '../scenario/scenario.ts'
import type { LatencyName, LatencySummary, TrialHead, TrialReport } from './trial-report.ts'

export interface SearchTrial {
  readonly rate: number
  readonly passed: boolean
  /** What it did not keep; null: it passed. */
  readonly reason: string | null
  /** It ended as soon as it was certain to fail: its figures are of the part that ran. */
  readonly cut_short: boolean
  readonly slo_attainment: number | null
  readonly p99_tbt_ms: number | null
  readonly p50_scheduling_delay_ms: number | null
}

/** Of one variant and seed. */
export interface SearchReport {
  readonly variant: string
  readonly seed: number
  /** Highest rate that passed, requests per second of the whole cluster; 0: none did. */
  readonly capacity: number
  /** The same per device (DistServe); null: the search asks for no attainment. */
  readonly capacity_goodput: number | null
  /** In order of running. */
  readonly trials: readonly SearchTrial[]
}

export interface VariantSummary {
  readonly name: string
  readonly description: string | null
  readonly fleet: readonly { readonly group: string; readonly accelerator: string; readonly model: string; readonly tp: number; readonly pp: number; readonly role: string; readonly count: number; readonly kv_tokens: number }[]
  readonly devices: number
  readonly timer: string
  readonly policies: Policies
  readonly limits: Limits
}

/** One row of the comparison: a variant at a rate, over its seeds. */
export interface ComparisonRow {
  readonly variant: string
  readonly rate: number | null
  readonly num_seeds: number
  /** Of the primary metric: median, least and greatest over the seeds; null: nothing was measured. */
  readonly median: number | null
  readonly min: number | null
  readonly max: number | null
  /** Ratio of medians to the first variant at the same rate; null for that one itself, and where there is none. */
  readonly vs_first: number | null
}

export interface ScenarioReport {
  readonly scenario: string
  readonly description: string
  readonly primary_metric: PrimaryMetric
  readonly seeds: readonly number[]
  /** False: stopped before every trial had ended; what is here is complete in itself. */
  readonly complete: boolean
  readonly variants: readonly VariantSummary[]
  readonly comparison: readonly ComparisonRow[]
  readonly searches: readonly SearchReport[]
  /** With a search: of each variant and seed, the one at the highest rate that passed. */
  readonly trials: readonly TrialReport[]
}

export interface Findings {
  readonly trials: readonly TrialReport[]
  readonly searches: readonly SearchReport[]
  readonly complete: boolean
}

export function scenarioReport(scenario: Scenario, seeds: readonly number[], kvTokensOf: (variant: number, group: number) => number, findings: Findings): ScenarioReport {
  return {
    scenario: scenario.name,
    description: scenario.description,
    primary_metric: scenario.primaryMetric,
    seeds,
    complete: findings.complete,
    variants: scenario.variants.map(({ name, description, fleet, timer, policies, limits }, variant) => ({
      name, description, policies, limits, timer: timer.kind, devices: numDevices(fleet),
      fleet: fleet.map(({ name: group, accelerator, model, tp, pp, role, count }, index) => ({ group, accelerator, model, tp, pp, role, count, kv_tokens: kvTokensOf(variant, index) })),
    })),
    comparison: compare(scenario, findings),
    searches: findings.searches,
    trials: findings.trials,
  }
}

/** A figure of a trial by its name; capacities are not among them. */
export function metricOf(trial: TrialReport, metric: PrimaryMetric): number | null {
  const [name, percentile] = metric.split('.') as [keyof TrialReport, keyof LatencySummary | undefined]
  if (percentile !== undefined) return trial[name as LatencyName][percentile]
  const value = trial[name]
  return typeof value === 'number' ? value : null
}

interface Measured extends Pick<TrialHead, 'variant' | 'rate'> {
  readonly value: number | null
}

function compare({ primaryMetric, variants, search }: Scenario, { trials, searches }: Findings): ComparisonRow[] {
  const measured: Measured[] = primaryMetric === 'capacity' || primaryMetric === 'capacity_goodput'
    ? searches.map((one) => ({ variant: one.variant, rate: null, value: one[primaryMetric] }))
    : trials.map((trial) => ({ variant: trial.variant, rate: search === null ? trial.rate : null, value: metricOf(trial, primaryMetric) }))
  const rates = [...new Set(measured.map(({ rate }) => rate))].toSorted((a, b) => (a ?? 0) - (b ?? 0))
  return rates.flatMap((rate) => {
    const rows = variants.map(({ name }) => rowOf(name, rate, measured.filter((one) => one.variant === name && one.rate === rate)))
    const first = rows[0]?.median ?? null
    return rows.filter(({ num_seeds: numSeeds }) => numSeeds > 0).map((row): ComparisonRow => ({
      ...row, vs_first: row.variant === variants[0]!.name || first === null || first === 0 || row.median === null ? null : row.median / first,
    }))
  })
}

function rowOf(variant: string, rate: number | null, measured: readonly Measured[]): Omit<ComparisonRow, 'vs_first'> {
  const values = measured.map(({ value }) => value).filter((value) => value !== null)
  const found = values.length === 0 ? { median: null, min: null, max: null } : { median: median(values), min: Math.min(...values), max: Math.max(...values) }
  return { variant, rate, num_seeds: measured.length, ...found }
}
