// The report as one HTML file: tables and plots, nothing fetched from anywhere.
import type { ScenarioReport } from '../scenario-report.ts'
import { comparisonRows, searchRows, summaryRows, variantRows } from '../tables.ts'
import type { TableText } from '../tables.ts'
import { renderPlot } from './plot.ts'
import { plotSections } from './plots.ts'

const STYLE = `
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #222; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; margin: 0.5rem 0; font-variant-numeric: tabular-nums }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
.scroll { overflow-x: auto } .plots { display: flex; flex-wrap: wrap; gap: 8px } .note { color: #a40 }
`

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

function table({ head, rows }: TableText): string {
  const line = (cells: readonly string[], tag: 'th' | 'td'): string => `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  return `<div class="scroll"><table><thead>${line(head, 'th')}</thead><tbody>${rows.map((row) => line(row, 'td')).join('\n')}</tbody></table></div>`
}

/** A whole document. */
export function renderPage(report: ScenarioReport): string {
  const sections = plotSections(report).map(({ title, plots }) => `<h2>${escaped(title)}</h2>\n<div class="plots">\n${plots.map(renderPlot).join('\n')}\n</div>`)
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escaped(report.scenario)}</title><style>${STYLE}</style></head>
<body>
<h1>${escaped(report.scenario)}</h1>
<p>${escaped(report.description)}</p>
<p>Primary metric, named before the run: <b>${escaped(report.primary_metric)}</b>. Seeds: ${report.seeds.join(', ')}.</p>
${report.complete ? '' : '<p class="note">The run was stopped before every trial had ended.</p>'}
<h2>Comparison</h2>
${table(comparisonRows(report))}
${report.searches.length === 0 ? '' : `<h2>Search</h2>\n${table(searchRows(report.searches))}`}
<h2>Trials</h2>
${table(summaryRows(report))}
<h2>Variants</h2>
${table(variantRows(report))}
${sections.join('\n')}
</body>
</html>
`
}
