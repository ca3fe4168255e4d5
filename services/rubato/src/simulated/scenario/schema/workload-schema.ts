// What arrives: lengths, arrivals, how many, and the classes that requests belong to.
import { z } from 'zod'
import { fields, kindError, oneOf, positive, ratio, seconds, shortName, text, wholeNumber, wordAsKind } from './fields.ts'

const MEDIAN_AND_P90 = fields({ median: wholeNumber(1), p90: wholeNumber(1) }).refine(({ median, p90 }) => p90 >= median, { error: 'p90 must not lie below the median' })

const QUANTILE_POINT = z.tuple([ratio(), wholeNumber(1)], { error: 'must be a pair: a share from 0 to 1, and the length that this share does not exceed' })

/** From the shortest (share 0) to the longest (share 1). */
const QUANTILES = z.array(QUANTILE_POINT, { error: 'must be a list of pairs [share, length]' })
  .refine((points) => points.length >= 2 && points[0]![0] === 0 && points.at(-1)![0] === 1, { error: 'must begin with share 0, the shortest, and end with share 1, the longest' })
  .refine((points) => points.every(([share, length], index) => index === 0 || (share > points[index - 1]![0] && length >= points[index - 1]![1])), { error: 'shares and lengths must rise' })

const LENGTHS = z.discriminatedUnion('kind', [
  fields({ kind: z.literal('fixed'), prompt: wholeNumber(1), output: wholeNumber(1) }),
  fields({ kind: z.literal('lognormal'), prompt: MEDIAN_AND_P90, output: MEDIAN_AND_P90 }),
  fields({ kind: z.literal('quantiles'), prompt: QUANTILES, output: QUANTILES }),
  fields({ kind: z.literal('trace'), file: text(), order: oneOf(['file', 'random', 'independent']).default('file') }),
], { error: kindError })

const ARRIVALS = z.preprocess(wordAsKind, z.discriminatedUnion('kind', [
  fields({ kind: z.literal('poisson') }),
  fields({ kind: z.literal('even') }),
  fields({ kind: z.literal('gamma'), cv: positive() }),
  fields({ kind: z.literal('trace'), jitter_ratio: ratio().default(0.1) }).transform(({ kind, jitter_ratio }) => ({ kind, jitterRatio: jitter_ratio })),
], { error: kindError }))

const TARGETS_SHAPE = { ttft_ms: positive().optional(), tpot_ms: positive().optional() }

/** Targets in milliseconds; an absent one is no target. */
export const TARGETS_SCHEMA = fields(TARGETS_SHAPE).transform(({ ttft_ms, tpot_ms }) => ({ ttftMs: ttft_ms ?? null, tpotMs: tpot_ms ?? null }))

const CLASS = fields({
  name: shortName(),
  share: positive(),
  priority: wholeNumber(-1000, 1000).default(0),
  slo: TARGETS_SCHEMA.optional(),
}).transform(({ slo, ...one }) => ({ ...one, slo: slo ?? null }))

const RATES = z.array(positive(), { error: 'must be a list of rates' }).min(1, { error: 'must hold at least one rate' })

export const WORKLOAD_SCHEMA = fields({
  lengths: LENGTHS,
  arrivals: ARRIVALS,
  rate: positive().optional(),
  rates: RATES.optional(),
  num_requests: wholeNumber(1, 10_000_000).optional(),
  duration_s: seconds().optional(),
  over_length: oneOf(['cut', 'redraw']).default('cut'),
  classes: z.array(CLASS, { error: 'must be a list of classes' }).min(1, { error: 'must hold at least one class' }).optional(),
}).transform(({ rate, rates, num_requests, duration_s, over_length, classes, ...rest }) => ({
  ...rest, rate: rate ?? null, rates: rates ?? null, numRequests: num_requests ?? null, durationS: duration_s ?? null, overLength: over_length, classes: classes ?? null,
}))
