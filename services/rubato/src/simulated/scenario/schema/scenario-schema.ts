// A scenario file as a whole.
import { z } from 'zod'
import { FAULT_SCHEMA } from './fault-schema.ts'
import { fields, oneOf, shortName, text, wholeNumber } from './fields.ts'
import { FLEET_SCHEMA } from './fleet-schema.ts'
import { SEARCH_SCHEMA, SLO_SCHEMA } from './goal-schema.ts'
import { LIMITS_SCHEMA, POLICIES_SCHEMA } from './policy-schema.ts'
import { PRIMARY_METRICS } from '../primary-metrics.ts'
import { JITTER_SCHEMA, TIMER_SCHEMA } from './timer-schema.ts'
import { WORKLOAD_SCHEMA } from './workload-schema.ts'

const MAX_SEEDS = 100_000

/** `3`, `[1, 2, 3]` or `1..5`, as a list. */
const SEEDS = z.preprocess(
  (raw) => (typeof raw === 'number' ? [raw] : typeof raw === 'string' ? (parseSeeds(raw) ?? raw) : raw),
  z.array(wholeNumber(0), { error: 'must be a seed, a list of seeds, or a range such as 1..5' }).min(1, { error: 'must hold at least one seed' }),
)

/** `A..B` or one number as a list of seeds; null: it is neither. */
export function parseSeeds(range: string): number[] | null {
  const match = /^(\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(range.trim())
  if (match === null) return null
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])]
  return last < first || last - first >= MAX_SEEDS ? null : Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

const VARIANT = fields({
  name: shortName(),
  description: text().optional(),
  fleet: FLEET_SCHEMA.optional(),
  timer: TIMER_SCHEMA.optional(),
  policies: POLICIES_SCHEMA.optional(),
  limits: LIMITS_SCHEMA.optional(),
})

export const SCENARIO_SCHEMA = fields({
  name: shortName(),
  description: text(),
  primary_metric: oneOf(PRIMARY_METRICS),
  seeds: SEEDS.default([1]),
  engine: oneOf(['light', 'checked']).default('light'),
  routers: wholeNumber(1, 64).default(1),
  fleet: FLEET_SCHEMA.optional(),
  timer: TIMER_SCHEMA,
  step_jitter_ratio: JITTER_SCHEMA.default(0),
  policies: POLICIES_SCHEMA.default({}),
  limits: LIMITS_SCHEMA.default({}),
  variants: z.array(VARIANT, { error: 'must be a list of variants' }).min(1, { error: 'must hold at least one variant' }).optional(),
  workload: WORKLOAD_SCHEMA,
  slo: SLO_SCHEMA.optional(),
  search: SEARCH_SCHEMA.optional(),
  faults: z.array(FAULT_SCHEMA, { error: 'must be a list of faults' }).default([]),
})

export type ScenarioFields = z.output<typeof SCENARIO_SCHEMA>
export type VariantFields = z.output<typeof VARIANT>
