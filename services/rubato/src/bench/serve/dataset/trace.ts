// A published trace as a plan: its arrivals and lengths, with made-up prompts that share prefixes where the trace's did.
import type { DatasetOptions } from '../options.ts'
import type { PlannedRequest } from './planned-request.ts'
import { MOONCAKE_BLOCK_TOKENS } from './trace-rows.ts'
import type { TraceRow } from './trace-rows.ts'
import type { PromptPart, RandomPrompts } from './random-prompts.ts'

/** At least one token, at most the cap. */
function fit(tokens: number, scale: number, cap: number | null): number {
  return Math.max(1, Math.min(Math.round(tokens * scale), cap ?? Infinity))
}

/** The parts of a prompt of `tokens` tokens: one per known block, then a tail of its own. */
function partsOf(row: TraceRow, index: number, tokens: number, blockTokens: number): PromptPart[] {
  const parts: PromptPart[] = []
  let left = tokens
  for (const id of row.blockIds) {
    if (left <= 0) break
    parts.push({ stream: `block/${id}`, tokens: Math.min(blockTokens, left) })
    left -= blockTokens
  }
  if (left > 0) parts.push({ stream: `request/${index}`, tokens: left })
  return parts
}

/** The first numPrompts rows; fewer where the trace is shorter. */
export function planTrace(rows: readonly TraceRow[], options: DatasetOptions, prompts: RandomPrompts): PlannedRequest[] {
  const blockTokens = Math.max(1, Math.round(MOONCAKE_BLOCK_TOKENS * options.traceScale))
  return rows.slice(0, options.numPrompts).map((row, index) => {
    const promptTokens = fit(row.inputTokens, options.traceScale, options.maxInputTokens)
    return {
      index,
      className: null,
      input: prompts.make(partsOf(row, index, promptTokens, blockTokens)),
      promptTokens,
      maxTokens: fit(row.outputTokens, options.traceScale, options.maxOutputTokens),
      arrivalMs: row.arrivalMs,
      slo: null,
    }
  })
}
