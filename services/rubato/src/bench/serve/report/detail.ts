// The part of a report with an entry per request, in order of sending; --save-detailed.
import type { SloTargets } from '../dataset/planned-request.ts'
import { targetsFor, verdictOf } from './attainment.ts'
import type { RunRecord } from './attainment.ts'
import { e2elMs, itlsMs, tpotMs, ttftMs } from './latencies.ts'

export interface SloFields {
  readonly ttft_ms: number | null
  readonly tpot_ms: number | null
  readonly e2el_ms: number | null
}

export interface RequestRow {
  readonly index: number
  readonly class: string | null
  /** Seconds from the start of the run. */
  readonly scheduled_s: number
  readonly start_s: number
  readonly prompt_tokens: number
  readonly output_tokens: number
  readonly token_ids: readonly number[]
  readonly ttft_ms: number | null
  readonly tpot_ms: number | null
  readonly e2el_ms: number | null
  readonly slo: SloFields | null
  /** All targets; null: none, or interrupted. */
  readonly met: boolean | null
  readonly met_ttft: boolean | null
  readonly met_tpot: boolean | null
  readonly status: 'completed' | 'failed' | 'interrupted'
  readonly error: string | null
}

/** Lists run over the requests; `ttfts` and `itls` are seconds, as in `vllm bench serve`. */
export interface ReportDetail {
  readonly input_lens: readonly number[]
  /** 0 for what did not complete. */
  readonly output_lens: readonly number[]
  /** Null where no token came. */
  readonly ttfts: readonly (number | null)[]
  readonly itls: readonly (readonly number[])[]
  readonly generated_texts: readonly string[]
  /** Empty where there was none. */
  readonly errors: readonly string[]
  readonly requests: readonly RequestRow[]
}

export function sloFields(targets: SloTargets): SloFields {
  return { ttft_ms: targets.ttftMs, tpot_ms: targets.tpotMs, e2el_ms: targets.e2elMs }
}

function rowOf({ request, scheduledMs, answer }: RunRecord, goodput: SloTargets | null, originMs: number): RequestRow {
  const targets = targetsFor(request, goodput)
  const verdict = verdictOf(answer, answer.end.kind === 'interrupted' ? null : targets)
  return {
    index: request.index,
    class: request.className,
    scheduled_s: scheduledMs / 1000,
    start_s: (answer.startMs - originMs) / 1000,
    prompt_tokens: answer.promptTokens,
    output_tokens: answer.outputTokens,
    token_ids: answer.tokenIds,
    ttft_ms: ttftMs(answer),
    tpot_ms: tpotMs(answer),
    e2el_ms: e2elMs(answer),
    slo: targets === null ? null : sloFields(targets),
    met: verdict.slo,
    met_ttft: verdict.ttft,
    met_tpot: verdict.tpot,
    status: answer.end.kind,
    error: answer.end.kind === 'failed' ? answer.end.message : null,
  }
}

export function detailOf(records: readonly RunRecord[], goodput: SloTargets | null, originMs: number): ReportDetail {
  const rows = records.map((record) => rowOf(record, goodput, originMs))
  return {
    input_lens: rows.map((row) => row.prompt_tokens),
    output_lens: rows.map((row) => (row.status === 'completed' ? row.output_tokens : 0)),
    ttfts: rows.map((row) => (row.ttft_ms === null ? null : row.ttft_ms / 1000)),
    itls: records.map(({ answer }) => itlsMs(answer).map((gap) => gap / 1000)),
    generated_texts: records.map(({ answer }) => answer.text),
    errors: rows.map((row) => row.error ?? ''),
    requests: rows,
  }
}
