// The report of `rubato bench engine`: its JSON fields are public and stable; the table is for reading.
import Table from 'cli-table3'

export interface EngineReport {
  readonly model: string
  readonly dtype: string
  readonly threads: number
  /** `context`: mean tokens in KV per request. */
  readonly decode: readonly { readonly batch: number; readonly context: number; readonly step_ms: number; readonly cpu_ms: number; readonly tokens_per_s: number }[]
  /** `nodes`: rows per request, the tree's root included. */
  readonly verify: readonly { readonly batch: number; readonly nodes: number; readonly context: number; readonly step_ms: number; readonly cpu_ms: number }[]
  readonly prefill: readonly { readonly cell: number; readonly tokens_per_s: number; readonly cpu_ms_per_token: number }[]
  /** 1 - CPU inside model runs / CPU of the engine's thread, decoding at batch 16 (or the largest one below). */
  readonly host_share: number
  readonly load_ms: number
  readonly rss_mb: number
}

const NUM_DIGITS = 4

/** The value with four significant digits: more would be noise. */
export function rounded(value: number): number {
  return Number(value.toPrecision(NUM_DIGITS))
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = new Table({ head: [...head], style: { head: [], border: [] }, colAligns: head.map(() => 'right') })
  for (const row of rows) lines.push(row.map(String))
  return lines.toString()
}

export function renderEngineReport(report: EngineReport): string {
  const decode = report.decode.map(({ batch, context, step_ms, cpu_ms, tokens_per_s }) => ['decode', batch, 1, context, step_ms, cpu_ms, tokens_per_s])
  const verify = report.verify.map(({ batch, nodes, context, step_ms, cpu_ms }) => ['verify', batch, nodes, context, step_ms, cpu_ms, ''])
  const prefill = report.prefill.map(({ cell, tokens_per_s, cpu_ms_per_token }) => [cell, tokens_per_s, cpu_ms_per_token])
  return [
    `${report.model}, ${report.dtype}, ${report.threads} thread(s)`,
    table(['run', 'batch', 'rows', 'context', 'step ms', 'cpu ms', 'tokens/s'], [...decode, ...verify]),
    table(['prefill cell', 'tokens/s', 'cpu ms/token'], prefill),
    `host share ${(100 * report.host_share).toFixed(1)} %, load ${Math.round(report.load_ms)} ms, rss ${Math.round(report.rss_mb)} MB`,
  ].join('\n')
}
