// A campaign's report for the terminal.
import { renderTable } from '../../../cli/table.ts'
import { SEEDS_FOR_COVERAGE } from './campaign.ts'
import type { CampaignReport } from './campaign.ts'

export function renderCampaign(report: CampaignReport): string {
  const { seeds, complete, failures, weak_seeds: weak, requests, faults, events, duration_s: durationS, seeds_per_minute: perMinute, transitions, unvisited, passed } = report
  const rows = Object.entries(transitions).map(([name, count]) => [name, String(count)])
  const missed = unvisited.length === 0 ? [] : [`not met: ${unvisited.join(', ')}${seeds < SEEDS_FOR_COVERAGE ? ` (asked of ${SEEDS_FOR_COVERAGE} seeds and more)` : ''}`]
  const byInvariant = new Map<string, number[]>()
  for (const { seed, invariant } of failures) byInvariant.set(invariant, [...(byInvariant.get(invariant) ?? []), seed])
  return [
    renderTable(rows, { head: ['transition', 'visits'] }),
    '',
    `${seeds} seeds${complete ? '' : ', cut short'}: ${requests} requests, ${faults} faults that hit, ${events} events, ${durationS.toFixed(1)} s, ${perMinute.toFixed(0)} seeds/minute`,
    ...(weak.length === 0 ? [] : [`hit too little: seeds ${weak.join(' ')}`]),
    ...missed,
    ...[...byInvariant].map(([invariant, of]) => `${invariant} violated by ${of.length} seeds: ${of.slice(0, 20).join(' ')}`),
    passed ? 'passed' : 'failed',
  ].join('\n')
}
