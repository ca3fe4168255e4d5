// The machines of a scenario, in groups of equal instances.
import { z } from 'zod'
import { atLeast, fields, oneOf, positive, ratio, shortName, text, wholeNumber } from './fields.ts'

/** What is usual between machines of one rack: 200 Gbit/s. */
const DEFAULT_LINK = { gbps: 200, latency_ms: 0.05 }

const LINK = fields({ gbps: positive(), latency_ms: atLeast(0).default(DEFAULT_LINK.latency_ms) })
  .default(DEFAULT_LINK)
  .transform(({ gbps, latency_ms }) => ({ bytesPerSec: (gbps * 1e9) / 8, latencyMs: latency_ms }))

/** A draft model beside the target: how often its best guess is right, and what one level of drafts takes. */
const DRAFTS = fields({ good_ratio: ratio(), level_ms: positive() }).transform(({ good_ratio, level_ms }) => ({ goodRatio: good_ratio, levelMs: level_ms }))

const GROUP = fields({
  name: shortName(),
  accelerator: text(),
  model: text(),
  tp: wholeNumber(1, 64).default(1),
  pp: wholeNumber(1, 64).default(1),
  role: oneOf(['prefill', 'decode', 'mixed']).default('mixed'),
  count: wholeNumber(1, 10_000).default(1),
  link: LINK,
  kv_tokens: wholeNumber(1).optional(),
  usd_per_hour: atLeast(0).optional(),
  watts: atLeast(0).optional(),
  drafts: DRAFTS.optional(),
}).transform(({ kv_tokens, usd_per_hour, watts, drafts, ...group }) => ({ ...group, kvTokens: kv_tokens ?? null, usdPerHour: usd_per_hour ?? null, watts: watts ?? null, drafts: drafts ?? null }))

export const FLEET_SCHEMA = z.array(GROUP, { error: 'must be a list of groups' }).min(1, { error: 'must hold at least one group' })
