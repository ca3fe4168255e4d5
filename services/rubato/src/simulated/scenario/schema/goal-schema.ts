// What a scenario is after: targets of requests, and the search for the highest rate that keeps within limits.
import { z } from 'zod'
import { atLeast, fields, positive, ratio, text, wholeNumber, wordAsKind } from './fields.ts'

const REFERENCE = fields({ accelerator: text(), tp: wholeNumber(1, 64) })

/** Milliseconds, or slowdown against a request that has a reference machine to itself (Splitwise, ISCA'24 table VI). */
export const SLO_SCHEMA = fields({ ttft_ms: positive().optional(), tpot_ms: positive().optional(), slowdown_against: REFERENCE.optional() })
  .refine(({ ttft_ms, tpot_ms, slowdown_against }) => slowdown_against === undefined || (ttft_ms ?? tpot_ms) === undefined, { error: 'must hold either targets in milliseconds or slowdown_against' })
  .transform(({ ttft_ms, tpot_ms, slowdown_against }) => ({ ttftMs: ttft_ms ?? null, tpotMs: tpot_ms ?? null, reference: slowdown_against ?? null }))

const PASS = fields({
  attainment: ratio().optional(),
  p99_tbt_ms: positive().optional(),
  p50_scheduling_delay_ms: atLeast(0).optional(),
  slowdown: z.literal(true, { error: 'must be true' }).optional(),
})
  .refine((limits) => Object.values(limits).some((limit) => limit !== undefined), { error: 'must hold at least one limit' })
  .transform(({ attainment, p99_tbt_ms, p50_scheduling_delay_ms, slowdown }) => ({
    attainmentRatio: attainment ?? null, p99TbtMs: p99_tbt_ms ?? null, p50DelayMs: p50_scheduling_delay_ms ?? null, slowdown: slowdown ?? false,
  }))

const CAPACITY = fields({ kind: z.literal('capacity', { error: 'must be capacity' }), pass: PASS, start_rate: positive(), granularity: ratio().default(0.05) })
  .refine(({ granularity }) => granularity > 0, { path: ['granularity'], error: 'must be above 0' })
  .transform(({ start_rate, ...rest }) => ({ ...rest, startRatePerSec: start_rate }))

export const SEARCH_SCHEMA = z.preprocess(wordAsKind, CAPACITY)
