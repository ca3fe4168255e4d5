// Reads published request traces: Azure LLM inference (CSV), splitwise-sim (CSV) and Mooncake (JSON lines), each also gzipped.
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { InvalidArgument } from '@rubato/config'

export interface TraceRow {
  /** From the first request of the trace on. */
  readonly arrivalMs: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** One id per prompt block of MOONCAKE_BLOCK_TOKENS; equal ids are equal prefix blocks. Empty: not known. */
  readonly blockIds: readonly number[]
}

export const MOONCAKE_BLOCK_TOKENS = 512
const FIELD = '--dataset-path'

interface CsvLayout {
  readonly time: string
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
]

function checkedRow(row: TraceRow, line: number): TraceRow {
  const ok = Number.isFinite(row.arrivalMs) && Number.isSafeInteger(row.inputTokens) && row.inputTokens >= 0 && Number.isSafeInteger(row.outputTokens) && row.outputTokens >= 0
  if (!ok) throw new InvalidArgument(FIELD, `line ${line}: not a time and two token counts`)
  return row
}

function parseCsv(lines: readonly string[]): TraceRow[] {
  const columns = (lines[0] ?? '').split(',').map((name) => name.trim())
  const layout = CSV_LAYOUTS.find(({ time, input, output }) => [time, input, output].every((name) => columns.includes(name)))
  if (layout === undefined) throw new InvalidArgument(FIELD, `unknown columns ${columns.join(',')}; known: ${CSV_LAYOUTS.map(({ time, input, output }) => `${time},${input},${output}`).join(' or ')}`)
  const [time, input, output] = [columns.indexOf(layout.time), columns.indexOf(layout.input), columns.indexOf(layout.output)]
  return lines.slice(1).map((line, index) => {
    const cells = line.split(',')
    const number = (column: number): number => (cells[column]?.trim() ? Number(cells[column]) : Number.NaN)
    return checkedRow({ arrivalMs: layout.toMs(cells[time]?.trim() ?? ''), inputTokens: number(input), outputTokens: number(output), blockIds: [] }, index + 2)
  })
}

function parseJsonLine(line: string, number: number): TraceRow {
  let fields: { readonly timestamp?: unknown; readonly input_length?: unknown; readonly output_length?: unknown; readonly hash_ids?: unknown }
  try {
    fields = JSON.parse(line) as typeof fields
  } catch (error) {
    throw new InvalidArgument(FIELD, `line ${number}: ${(error as Error).message}`, { cause: error })
  }
  const blockIds = Array.isArray(fields.hash_ids) ? fields.hash_ids.map(Number) : []
  return checkedRow({ arrivalMs: fields.timestamp as number, inputTokens: fields.input_length as number, outputTokens: fields.output_length as number, blockIds }, number)
}

/** Rows in order of arrival, the first at 0. Throws InvalidArgument naming the line that is not understood. */
export function parseTrace(text: string): TraceRow[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const rows = lines[0]?.startsWith('{') === true ? lines.map((line, index) => parseJsonLine(line, index + 1)) : parseCsv(lines)
  if (rows.length === 0) throw new InvalidArgument(FIELD, 'the trace holds no requests')
  const sorted = rows.toSorted((a, b) => a.arrivalMs - b.arrivalMs)
  const firstMs = sorted[0]!.arrivalMs
  return sorted.map((row) => ({ ...row, arrivalMs: row.arrivalMs - firstMs }))
}

export function readTrace(file: string): TraceRow[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
    if (file.endsWith('.gz')) bytes = gunzipSync(bytes)
  } catch (error) {
    throw new InvalidArgument(FIELD, `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
  return parseTrace(bytes.toString('utf8'))
}
