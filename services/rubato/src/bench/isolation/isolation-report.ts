// What the rounds say: CPU of a decode step in each case beside that without prompts, and the gaps that streams see.
import type { RandomStream } from '@rubato/sim'
import { renderTable } from '../../cli/table.ts'
import { exceeds, percentile } from '../statistics.ts'
import type { RatioInterval } from '../statistics.ts'
import { CASES, atBatch } from './isolation-rounds.ts'
import type { IsolationCase, Round } from './isolation-rounds.ts'
import { ratioOverRounds } from './round-bootstrap.ts'
import type { Statistic } from './round-bootstrap.ts'

export interface CaseReport {
  readonly case: IsolationCase
  /** Steps whose decodes were the streams alone; what follows is theirs, but for the last two. */
  readonly steps: number
  /** Steps that decoded for others beside the streams: another batch, left out of the CPU figures. */
  readonly other_steps: number
  readonly median_cpu_ms: number
  readonly p99_cpu_ms: number
  /** Beside the case without prompts, 95 % bootstrap intervals over rounds. */
  readonly median_ratio: RatioInterval
  readonly p99_ratio: RatioInterval
  /** CPU per decoded token over all steps, also those that decode for others. */
  readonly cpu_ms_per_token: number
  /** From the end of one step to the end of the next, wall time: installs between steps are in it. */
  readonly median_gap_ms: number
  readonly p99_gap_ms: number
}

export interface IsolationReport {
  readonly cases: readonly CaseReport[]
  readonly median_limit: number
  readonly p99_limit: number
  /** The interval of the disaggregated case lies beyond a limit as a whole. */
  readonly exceeded: boolean
}

const MEDIAN_LIMIT = 1.1
const P99_LIMIT = 1.25

// Sorted as numbers: thousands of resamples are.
const at = (percent: number): Statistic => (values) => percentile(Array.from(Float64Array.from(values).sort()), percent) ?? 0
const P50 = at(50)
const P99 = at(99)

function gapsOf(round: Round): number[] {
  return round.slice(1).map(({ endMs }, index) => endMs - round[index]!.endMs)
}

function caseReport(which: IsolationCase, rounds: readonly Round[], baseline: readonly Round[], { streams, random }: { readonly streams: number; readonly random: RandomStream }): CaseReport {
  const cpuOf = (round: Round): number[] => atBatch(round, streams).map(({ cpuMs }) => cpuMs)
  const pairs = rounds.map((round, index) => [cpuOf(round), cpuOf(baseline[index]!)] as const)
  const cpuMs = pairs.flatMap(([own]) => own)
  const all = rounds.flat()
  const gaps = rounds.flatMap(gapsOf)
  return {
    case: which,
    steps: cpuMs.length,
    other_steps: all.length - cpuMs.length,
    median_cpu_ms: P50(cpuMs),
    p99_cpu_ms: P99(cpuMs),
    median_ratio: ratioOverRounds(pairs, P50, random),
    p99_ratio: ratioOverRounds(pairs, P99, random),
    cpu_ms_per_token: all.reduce((sum, step) => sum + step.cpuMs, 0) / all.reduce((sum, step) => sum + step.numDecodes, 0),
    median_gap_ms: P50(gaps),
    p99_gap_ms: P99(gaps),
  }
}

export function isolationReport(rounds: Readonly<Record<IsolationCase, readonly Round[]>>, facts: { readonly streams: number; readonly random: RandomStream }): IsolationReport {
  const cases = CASES.map((which) => caseReport(which, rounds[which], rounds.none, facts))
  const { median_ratio, p99_ratio } = cases.find((one) => one.case === 'disaggregated')!
  return { cases, median_limit: MEDIAN_LIMIT, p99_limit: P99_LIMIT, exceeded: exceeds(median_ratio, MEDIAN_LIMIT) || exceeds(p99_ratio, P99_LIMIT) }
}

const interval = ({ ratio, low, high }: RatioInterval): string => `${ratio.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`

export function renderIsolation({ cases, median_limit, p99_limit, exceeded }: IsolationReport): string {
  const rows = cases.map((one) => [
    one.case, `${one.steps} + ${one.other_steps}`, one.median_cpu_ms.toFixed(2), interval(one.median_ratio), one.p99_cpu_ms.toFixed(2), interval(one.p99_ratio),
    one.cpu_ms_per_token.toFixed(2), one.median_gap_ms.toFixed(1), one.p99_gap_ms.toFixed(1),
  ])
  const head = ['prompts', 'steps', 'median CPU ms', 'beside none', 'P99 CPU ms', 'beside none', 'CPU ms/token', 'P50 gap ms', 'P99 gap ms']
  return `${renderTable(rows, { head })}\ndisaggregated: at most ${median_limit} at the median and ${p99_limit} at P99: ${exceeded ? 'EXCEEDED' : 'ok'}`
}
