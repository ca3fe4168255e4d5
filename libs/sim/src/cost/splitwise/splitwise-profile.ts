// The measured rows of the Splitwise simulator (perf_model.csv): prompt and token times of BLOOM-176B and Llama-2-70B on DGX
// machines, five repeats per point.
import { csvRows, numberIn, textIn } from '../csv.ts'

export interface SplitwiseRow {
  readonly model: string
  readonly hardware: string
  readonly tp: number
  readonly promptTokens: number
  readonly batch: number
  readonly outputTokens: number
  /** Prefill of the whole batch. */
  readonly promptMs: number
  /** Mean decode step. */
  readonly tokenMs: number
}

/** Which machine a curve is of. */
export interface SplitwiseMachine {
  readonly model: string
  readonly hardware: string
  readonly tp: number
}

/** Throws RangeError where a field is missing or no number. */
export function parseSplitwiseProfile(csv: string): readonly SplitwiseRow[] {
  return csvRows(csv).map((row) => ({
    model: textIn(row, 'model'),
    hardware: textIn(row, 'hardware'),
    tp: numberIn(row, 'tensor_parallel'),
    promptTokens: numberIn(row, 'prompt_size'),
    batch: numberIn(row, 'batch_size'),
    outputTokens: numberIn(row, 'token_size'),
    promptMs: numberIn(row, 'prompt_time'),
    tokenMs: numberIn(row, 'token_time'),
  }))
}

/** Rows of one machine. Throws RangeError when it was not measured. */
export function rowsOf(rows: readonly SplitwiseRow[], { model, hardware, tp }: SplitwiseMachine): readonly SplitwiseRow[] {
  const own = rows.filter((row) => row.model === model && row.hardware === hardware && row.tp === tp)
  if (own.length === 0) throw new RangeError(`Splitwise did not measure ${model} on ${hardware} with tp ${tp}`)
  return own
}
