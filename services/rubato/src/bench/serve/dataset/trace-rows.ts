// Reads published request traces, each also gzipped: Azure LLM inference, splitwise-sim, DistServe and AdaServe (CSV), Mooncake
// (JSON lines), and plain lengths as Vidur has them (CSV).
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { InvalidArgument } from '@rubato/config'

export interface TraceRow {
  /** From the first request of the trace on; null: the file holds lengths only. */
  readonly arrivalMs: number | null
  readonly inputTokens: number
  readonly outputTokens: number
  /** One id per prompt block of MOONCAKE_BLOCK_TOKENS; equal ids are equal prefix blocks. Empty: not known. */
  readonly blockIds: readonly number[]
}

export const MOONCAKE_BLOCK_TOKENS = 512
const FIELD = '--dataset-path'

interface CsvLayout {
  /** null: it has no times. */
  readonly time: string | null
  readonly input: string
  readonly output: string
  readonly toMs: (cell: string) => number
}

/** `2023-11-16 18:15:46.6805900` and the like as milliseconds, fractions kept; NaN when it is no such time. */
export function timestampMs(cell: string): number {
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?/.exec(cell)
  return match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`) + Number(match[3] ?? 0) * 1000
}

const CSV_LAYOUTS: readonly CsvLayout[] = [
  { time: 'TIMESTAMP', input: 'ContextTokens', output: 'GeneratedTokens', toMs: timestampMs },
  { time: 'arrival_timestamp', input: 'prompt_size', output: 'token_size', toMs: (cell) => Number(cell) * 1000 },
  { time: 'unit_arrival', input: 'prompt_len', output: 'output_len', toMs: (cell) => Number(cell) * 1000 },
  { time: 'emission_time_ms', input: 'input_length', output: 'output_length', toMs: Number },
  { time: null, input: 'num_prefill_tokens', output: 'num_decode_tokens', toMs: Number },
]

function columnsOf({ time, input, output }: CsvLayout): string[] {
  return [...(time === null ? [] : [time]), input, output]
}

function checkedRow(row: TraceRow, field: string, line: number): TraceRow {
  const ok = (row.arrivalMs === null || Number.isFinite(row.arrivalMs)) && Number.isSafeInteger(row.inputTokens) && row.inputTokens >= 0 && Number.isSafeInteger(row.outputTokens) && row.outputTokens >= 0
  if (!ok) throw new InvalidArgument(field, `line ${line}: not a time and two token counts`)
  return row
}

function parseCsv(lines: readonly string[], field: string): TraceRow[] {
  const columns = (lines[0] ?? '').split(',').map((name) => name.trim())
  const layout = CSV_LAYOUTS.find((known) => columnsOf(known).every((name) => columns.includes(name)))
  if (layout === undefined) throw new InvalidArgument(field, `unknown columns ${columns.join(',')}; known: ${CSV_LAYOUTS.map((known) => columnsOf(known).join(',')).join(' or ')}`)
  const [time, input, output] = [layout.time === null ? null : columns.indexOf(layout.time), columns.indexOf(layout.input), columns.indexOf(layout.output)]
  return lines.slice(1).map((line, index) => {
    const cells = line.split(',')
    const number = (column: number): number => (cells[column]?.trim() ? Number(cells[column]) : Number.NaN)
    return checkedRow({ arrivalMs: time === null ? null : layout.toMs(cells[time]?.trim() || 'none'), inputTokens: number(input), outputTokens: number(output), blockIds: [] }, field, index + 2)
  })
}

function parseJsonLine(line: string, field: string, number: number): TraceRow {
  let fields: { readonly timestamp?: unknown; readonly input_length?: unknown; readonly output_length?: unknown; readonly hash_ids?: unknown }
  try {
    fields = JSON.parse(line) as typeof fields
  } catch (error) {
    throw new InvalidArgument(field, `line ${number}: ${(error as Error).message}`, { cause: error })
  }
  const blockIds = Array.isArray(fields.hash_ids) ? fields.hash_ids.map(Number) : []
  return checkedRow({ arrivalMs: fields.timestamp as number, inputTokens: fields.input_length as number, outputTokens: fields.output_length as number, blockIds }, field, number)
}

/** Rows in order of arrival, the first at 0; in the file's order where it has no times. Throws InvalidArgument naming `field` and the line that is not understood. */
export function parseTrace(text: string, field: string = FIELD): TraceRow[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const rows = lines[0]?.startsWith('{') === true ? lines.map((line, index) => parseJsonLine(line, field, index + 1)) : parseCsv(lines, field)
  if (rows.length === 0) throw new InvalidArgument(field, 'the trace holds no requests')
  const sorted = rows.toSorted((a, b) => (a.arrivalMs ?? 0) - (b.arrivalMs ?? 0))
  const firstMs = sorted[0]!.arrivalMs ?? 0
  return sorted.map((row) => ({ ...row, arrivalMs: row.arrivalMs === null ? null : row.arrivalMs - firstMs }))
}

/** `field` is named where the file cannot be read or understood. */
export function readTrace(file: string, field: string = FIELD): TraceRow[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
    if (file.endsWith('.gz')) bytes = gunzipSync(bytes)
  } catch (error) {
    throw new InvalidArgument(field, `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
  return parseTrace(bytes.toString('utf8'), field)
}
