// Which plots a scenario's report has, from its trials and searches.
import type { ScenarioReport, SearchReport } from '../scenario-report.ts'
import type { InstanceTimeline, TrialDetails, TrialReport } from '../trial-report.ts'
import type { Line, Plot } from './plot.ts'

export interface PlotSection {
  readonly title: string
  readonly plots: readonly Plot[]
}

/** More lines than this are drawn as their least, median and greatest. */
const MAX_INSTANCE_LINES = 12

const CDF_TITLES = { ttft_ms: 'Time to first token', tpot_ms: 'Time per output token (per request)', tbt_ms: 'Time between tokens (each gap)', e2e_ms: 'End-to-end latency' } as const

/** What holds for the scenario as a whole, then one section per rate, of the first seed. */
export function plotSections({ trials, searches, variants }: ScenarioReport): PlotSection[] {
  const overRate = overRatePlots(trials, searches, variants.map(({ name }) => name))
  const groups = Map.groupBy(trials, ({ rate }) => (searches.length > 0 ? null : rate))
  const perRate = [...groups].map(([rate, group]) => {
    const ofFirstSeed = variants.map(({ name }) => group.find(({ variant }) => variant === name)).filter((trial) => trial !== undefined)
    return { title: titleOf(rate, ofFirstSeed, searches.length > 0), plots: trialPlots(detailed(ofFirstSeed)) }
  })
  return [...(overRate.length === 0 ? [] : [{ title: 'Over rate', plots: overRate }]), ...perRate]
}

function titleOf(rate: number | null, [first]: readonly TrialReport[], isSearch: boolean): string {
  const seed = first === undefined ? '' : `, seed ${first.seed}`
  if (isSearch) return `Each variant at its capacity${seed}`
  return rate === null ? `At the trace's own speed${seed}` : `At ${rate} requests per second${seed}`
}

function overRatePlots(trials: readonly TrialReport[], searches: readonly SearchReport[], names: readonly string[]): Plot[] {
  const points = searches.length > 0
    ? searches.flatMap(({ variant, trials: tried }) => tried.filter(({ cut_short: isPart }) => !isPart).map((one) => ({ ...one, variant })))
    : trials.map(({ variant, rate, slo_attainment, tbt_ms, scheduling_delay_ms }) => ({ variant, rate, slo_attainment, p99_tbt_ms: tbt_ms.p99, p50_scheduling_delay_ms: scheduling_delay_ms.p50 }))
  if (new Set(points.map(({ rate }) => rate)).size < 2) return []
  const linesOf = (read: (point: (typeof points)[number]) => number | null): Line[] => names.map((name) => ({
    name, points: meanByX(points.filter(({ variant }) => variant === name).map((point) => [point.rate ?? 0, read(point)])),
  }))
  const x = { name: 'requests per second' }
  return [
    { title: 'Attainment over rate', x, y: { name: 'share of offered requests', max: 1 }, lines: linesOf(({ slo_attainment: attainment }) => attainment) },
    { title: 'P99 time between tokens over rate', x, y: { name: 'ms' }, lines: linesOf(({ p99_tbt_ms: ms }) => ms) },
    { title: 'Median scheduling delay over rate', x, y: { name: 'ms' }, lines: linesOf(({ p50_scheduling_delay_ms: ms }) => ms) },
  ].filter(({ lines }) => lines.some((line) => line.points.length > 0))
}

/** Mean over the seeds, ascending in x. */
function meanByX(points: readonly (readonly [number, number | null])[]): [number, number][] {
  const known = points.filter((point): point is readonly [number, number] => point[1] !== null)
  const byX = Map.groupBy(known, ([x]) => x)
  return [...byX].map(([x, same]): [number, number] => [x, same.reduce((sum, [, y]) => sum + y, 0) / same.length]).toSorted(([a], [b]) => a - b)
}

type Detailed = TrialDetails & Pick<TrialReport, 'variant'>

/** Trials that kept no details have no plots. */
function detailed(trials: readonly TrialReport[]): Detailed[] {
  return trials.flatMap(({ variant, details }) => (details === null ? [] : [{ variant, ...details }]))
}

function trialPlots(trials: readonly Detailed[]): Plot[] {
  if (trials.length === 0) return []
  const cdfs = Object.entries(CDF_TITLES).map(([name, title]): Plot => ({
    title, x: { name: 'ms', type: 'log' }, y: { name: 'share', max: 1 }, lines: trials.map(({ variant, cdf }) => ({ name: variant, points: cdf[name as keyof typeof CDF_TITLES] })),
  }))
  const attainment: Plot = {
    title: 'Attainment over time', x: { name: 's (arrival)' }, y: { name: 'share of offered requests', max: 1 },
    lines: trials.map(({ variant, attainment_over_time: points }) => ({ name: variant, points: points.map(({ at_s: at, attainment: ratio }) => [at, ratio]) })),
  }
  const migrations: Plot = {
    title: 'Migrations so far', x: { name: 's' }, y: { name: 'requests' },
    lines: trials.map(({ variant, timelines }) => ({ name: variant, points: timelines.at_s.map((at, index) => [at, timelines.migrations[index] ?? null]) })),
  }
  return [...cdfs, ...(attainment.lines.some(({ points }) => points.some(([, ratio]) => ratio !== null)) ? [attainment] : []), migrations, ...trials.flatMap(instancePlots)]
}

function instancePlots({ variant, timelines }: Detailed): Plot[] {
  const linesOf = (read: (line: InstanceTimeline) => readonly (number | null)[]): Line[] => instanceLines(timelines.at_s, timelines.instances, read)
  return [
    { title: `Queue per instance: ${variant}`, x: { name: 's' }, y: { name: 'requests waiting' }, lines: linesOf(({ queue }) => queue) },
    { title: `KV use per instance: ${variant}`, x: { name: 's' }, y: { name: 'share of blocks' }, lines: linesOf(({ kv_use: use }) => use) },
  ]
}

function instanceLines(atS: readonly number[], instances: readonly InstanceTimeline[], read: (line: InstanceTimeline) => readonly (number | null)[]): Line[] {
  if (instances.length <= MAX_INSTANCE_LINES) return instances.map((one) => ({ name: one.name, points: atS.map((at, index) => [at, read(one)[index] ?? null]) }))
  const groups = Map.groupBy(instances, ({ group }) => group)
  return [...groups].flatMap(([group, members]) => {
    const sorted = atS.map((_, index) => members.map((one) => read(one)[index] ?? null).filter((value) => value !== null).toSorted((a, b) => a - b))
    const line = (name: string, pick: (values: readonly number[]) => number | undefined): Line => ({ name: `${group}: ${name} of ${members.length}`, points: atS.map((at, index) => [at, pick(sorted[index]!) ?? null]) })
    return [line('least', (values) => values[0]), line('median', (values) => values[Math.floor(values.length / 2)]), line('greatest', (values) => values.at(-1))]
  })
}
