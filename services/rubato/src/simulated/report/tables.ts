// The tables of a report, as text cells: printed on the terminal and put into the HTML alike.
import type { ScenarioReport, SearchReport } from './scenario-report.ts'
import type { TrialReport } from './trial-report.ts'

export interface TableText {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

const MISSING = '-'

/** Three digits that matter, none less for what is large. */
export function figure(value: number | null): string {
  if (value === null) return MISSING
  if (value === 0) return '0'
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

function percent(ratio: number | null): string {
  return ratio === null ? MISSING : `${(ratio * 100).toFixed(1)} %`
}

function rateText(rate: number | null): string {
  return rate === null ? MISSING : figure(rate)
}

/** The primary metric, variant by variant. */
export function comparisonRows({ primary_metric: metric, comparison }: ScenarioReport): TableText {
  const rows = comparison.map(({ variant, rate, num_seeds: numSeeds, median, min, max, vs_first: ratio }) => [
    variant, rateText(rate), figure(median), numSeeds > 1 ? `${figure(min)} .. ${figure(max)}` : MISSING, ratio === null ? MISSING : `${ratio.toFixed(2)}x`, String(numSeeds),
  ])
  return { head: ['variant', 'rate /s', metric, 'over seeds', 'vs first', 'seeds'], rows }
}

const SUMMARY_HEAD = [
  'variant', 'rate /s', 'seed', 'completed', 'attainment', 'goodput tok/s', 'TTFT p50', 'p99 ms', 'TPOT p50', 'p99 ms', 'TBT p99 ms', 'E2E p99 s', 'delay p50 ms', 'preempt.', 'migr.', 'lost/dup/leaked', '$/h', 'kW',
]

/** Every trial. */
export function summaryRows({ trials }: Pick<ScenarioReport, 'trials'>): TableText {
  return { head: SUMMARY_HEAD, rows: trials.map(summaryRow) }
}

function summaryRow(trial: TrialReport): string[] {
  const { ttft_ms: ttft, tpot_ms: tpot, tbt_ms: tbt, e2e_ms: e2e, scheduling_delay_ms: delay } = trial
  return [
    trial.variant, rateText(trial.rate), String(trial.seed), trial.failed === 0 ? String(trial.completed) : `${trial.completed} of ${trial.offered}`,
    percent(trial.slo_attainment), figure(trial.slo_goodput), figure(ttft.p50), figure(ttft.p99), figure(tpot.p50), figure(tpot.p99), figure(tbt.p99),
    figure(e2e.p99 === null ? null : e2e.p99 / 1000), figure(delay.p50), String(trial.preemptions), String(trial.migrations),
    `${trial.tokens_lost}/${trial.tokens_duplicated}/${trial.blocks_leaked}`, figure(trial.cost), figure(trial.power / 1000),
  ]
}

/** What each variant is made of. */
export function variantRows({ variants }: ScenarioReport): TableText {
  const rows = variants.map(({ name, description, fleet, timer, policies, limits }) => [
    name,
    fleet.map(({ group, count, accelerator, model, tp, pp, role }) => `${group}: ${count} x ${model} on ${accelerator} tp${tp}${pp > 1 ? ` pp${pp}` : ''}, ${role}`).join('; '),
    `${policies.batching}, dispatch ${policies.dispatch} (${policies.placement}), migration ${policies.migration}, speculation ${policies.speculation}`,
    `${limits.maxNumSeqs} seqs, ${limits.maxNumBatchedTokens} tokens per step, ${limits.maxModelLen} per request, blocks of ${limits.blockSize}`,
    timer,
    description ?? '',
  ])
  return { head: ['variant', 'fleet', 'policies', 'limits', 'timer', 'about'], rows }
}

/** Every trial of the searches. */
export function searchRows(searches: readonly SearchReport[]): TableText {
  const rows = searches.flatMap(({ variant, seed, trials }) => trials.map((trial) => [
    variant, String(seed), figure(trial.rate), trial.passed ? 'passed' : `${trial.reason ?? ''}${trial.cut_short ? ' (cut short)' : ''}`,
    percent(trial.slo_attainment), figure(trial.p99_tbt_ms), figure(trial.p50_scheduling_delay_ms),
  ]))
  return { head: ['variant', 'seed', 'rate /s', 'result', 'attainment', 'TBT p99 ms', 'delay p50 ms'], rows }
}
