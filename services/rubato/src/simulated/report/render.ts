// The report as text for a terminal.
import { renderTable } from '../../cli/table.ts'
import type { ScenarioReport } from './scenario-report.ts'
import { comparisonRows, searchRows, summaryRows } from './tables.ts'
import type { TableText } from './tables.ts'

function table(title: string, { head, rows }: TableText): string[] {
  return rows.length === 0 ? [] : [title, renderTable(rows, { head }), '']
}

/** Lines without a trailing newline. */
export function renderReport(report: ScenarioReport): string {
  return [
    ...table('Trials', summaryRows(report)),
    ...table('Search', searchRows(report.searches)),
    ...table(`Comparison by ${report.primary_metric}`, comparisonRows(report)),
    report.complete ? '' : 'Stopped before every trial had ended.',
  ].join('\n').trimEnd()
}
