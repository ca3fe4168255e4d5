// The tables of `bench cluster`.
import { renderTable } from '../../cli/table.ts'
import type { ChaosReport } from './modes/chaos.ts'
import type { Leftovers } from './modes/leftovers.ts'
import type { RollingReport } from './modes/rolling.ts'
import type { ScalePoint } from './modes/scale.ts'
import type { SoakReport } from './modes/soak.ts'
import type { UsageReport } from './modes/usage-sampler.ts'

const fixed = (value: number | null | undefined, digits = 1): string => (value === null || value === undefined ? '-' : value.toFixed(digits))

export function renderUsage({ processes, used_cores: used, machine_cores: cores, saturated }: UsageReport): string {
  const rows = processes.map(({ name, cores: share, rss_mb: rss }) => [name, fixed(share, 2), fixed(rss, 0)])
  return `${renderTable(rows, { head: ['process', 'cores', 'RSS MB'] })}\n${fixed(used, 2)} of ${cores} cores used; saturated: ${saturated}`
}

export function renderScale(points: readonly ScalePoint[]): string {
  const rows = points.map((point) => [
    `x${point.factor}`, `${point.routers}+${point.prefill}+${point.decode}`, fixed(point.output_tokens_per_s, 0), fixed(point.linearity, 2), fixed(point.p50_itl_ms, 2), fixed(point.p99_itl_ms, 2),
    String(point.failed), fixed(point.usage.used_cores, 2), point.usage.saturated,
  ])
  const table = renderTable(rows, { head: ['scale', 'router+prefill+decode', 'tokens/s', 'linearity', 'P50 ITL ms', 'P99 ITL ms', 'failed', 'cores used', 'saturated'] })
  return `${table}\non ${points[0]?.usage.machine_cores ?? 0} cores, which the load generator and the broker share`
}

export function renderRolling({ restarts, failed, resumed, retried, load_lasted: lasted }: RollingReport): string {
  const rows = restarts.map(({ name, drain_ms: drain, start_ms: start, exit }) => [name, fixed(drain / 1000), fixed(start / 1000), String(exit)])
  const warning = lasted ? '' : '\nthe load ended before the last restart did: use more --requests'
  return `${renderTable(rows, { head: ['restarted', 'drain s', 'start s', 'exit'] })}\n${failed} failed, ${resumed} resumed, ${retried} retried${warning}`
}

function leftoverText({ requests, sequences, kv_blocks: blocks, silent }: Leftovers): string {
  const quiet = silent.length === 0 ? '' : `; no metrics from ${silent.join(', ')}`
  return `left behind: ${requests} requests, ${sequences} sequences, ${blocks} KV blocks${quiet}`
}

export function renderChaos(report: ChaosReport): string {
  const faults = Object.entries(report.faults).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => [name, String(count)])
  return [
    renderTable(faults, { head: ['fault', 'times'] }),
    `seed ${report.seed}; ${report.round_complete ? 'every kind of fault was done' : 'the load ended before every kind of fault was done: use more --requests'}`,
    `${report.failed} failed, ${report.resumed} resumed, ${report.retried} retried; of ${report.compared} answers: ${report.duplicated_tokens} duplicated, ${report.missing_tokens} missing, ${report.differing_tokens} differing tokens`,
    leftoverText(report.leftovers),
  ].join('\n')
}

export function renderSoak(report: SoakReport): string {
  const rows = report.processes.map((one) => [
    one.name, fixed(one.heap_start_mb, 1), fixed(one.heap_end_mb, 1), fixed(one.heap_slope_mb_per_hour), fixed(one.rss_start_mb, 0), fixed(one.rss_end_mb, 0), fixed(one.rss_slope_mb_per_hour),
  ])
  return [
    renderTable(rows, { head: ['process', 'heap MB, warm', 'end', 'MB per hour', 'RSS MB, warm', 'end', 'MB per hour'] }),
    `${report.completed} completed, ${report.failed} failed, ${report.tokens} tokens; P99 ITL drift ${report.p99_itl_drift === null ? '- (needs at least four minutes)' : `x${fixed(report.p99_itl_drift, 2)}`}`,
    leftoverText(report.leftovers),
  ].join('\n')
}
