// What schedules: policies by name and limits, each with the product's own default.
import { SERVE_FLAGS } from '@rubato/config/commands'
import { BATCHING_POLICY_NAMES, DISPATCH_POLICY_NAMES, isSpeculationPolicyName, PLACEMENT_NAMES, SPECULATION_POLICY_NAMES } from '@rubato/policy'
import { z } from 'zod'
import { fields, oneOf, seconds, wholeNumber } from './fields.ts'

const SPECULATION = z
  .preprocess((raw) => (raw === false ? 'off' : raw), z.string({ error: 'must be text' }))
  .refine(isSpeculationPolicyName, { error: `must be one of ${SPECULATION_POLICY_NAMES.join(', ')}` })

/** YAML reads a bare `off` as false. */
const MIGRATION = z.preprocess((raw) => (raw === false ? 'off' : raw), oneOf(['llumnix', 'off']))

/** Every field may be left out: the scenario's stands for a variant's, the product's default for the scenario's. */
export const POLICIES_SCHEMA = fields({
  batching: oneOf(BATCHING_POLICY_NAMES).optional(),
  dispatch: oneOf(DISPATCH_POLICY_NAMES).optional(),
  placement: oneOf(PLACEMENT_NAMES).optional(),
  migration: MIGRATION.optional(),
  speculation: SPECULATION.optional(),
})

export const LIMITS_SCHEMA = fields({
  max_num_seqs: wholeNumber(1, 65_536).optional(),
  max_num_batched_tokens: wholeNumber(1).optional(),
  max_model_len: wholeNumber(2).optional(),
  block_size: wholeNumber(1, 4096).optional(),
  prefill_cell_tokens: wholeNumber(1, 65_536).optional(),
  max_concurrent_requests: wholeNumber(1).optional(),
  queue_size: wholeNumber(0).optional(),
  queue_timeout_s: seconds().optional(),
})

export type PolicyFields = z.output<typeof POLICIES_SCHEMA>
export type LimitFields = z.output<typeof LIMITS_SCHEMA>

export const DEFAULT_POLICIES = {
  batching: SERVE_FLAGS.batching.fallback,
  dispatch: SERVE_FLAGS.dispatch.fallback,
  placement: SERVE_FLAGS.placement.fallback,
  migration: SERVE_FLAGS.migration.fallback,
  speculation: 'off',
} as const

export const DEFAULT_LIMITS = {
  maxNumSeqs: SERVE_FLAGS['max-num-seqs'].fallback,
  maxNumBatchedTokens: SERVE_FLAGS['max-num-batched-tokens'].fallback,
  blockSize: SERVE_FLAGS['block-size'].fallback,
  cellTokens: SERVE_FLAGS['prefill-cell-tokens'].fallback,
} as const
