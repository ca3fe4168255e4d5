// Fleets on the simulated cluster: what one instance of a type sustains at each size, and whether a planned fleet keeps its
// promise. Both are scenarios, run like any other.
import { parseScenario } from '../../simulated/scenario/read-scenario.ts'
import { CATALOG } from '../../simulated/run/trial/hardware.ts'
import { runJobs } from '../../simulated/run/pool/worker-pool.ts'
import type { Job, JobResult } from '../../simulated/run/jobs.ts'
import type { Scenario } from '../../simulated/scenario/scenario.ts'
import type { SizeBucket } from '@rubato/plan'
import type { FleetFields, FleetTypeFields } from './fleet-config.ts'

export interface SimulationContext {
  readonly fields: FleetFields
  /** The configuration's file: messages name it. */
  readonly file: string
  readonly numThreads: number
  readonly signal: AbortSignal
}

const SEED = 1
/** First rate that a profile tries, requests per second. */
const START_RATE = 1
const PROFILE_GRANULARITY = 0.1

/** Highest rate of one instance of each type for requests of this size; 0: none keeps the SLO. Undefined: it was stopped. */
export async function profileBucket(types: readonly FleetTypeFields[], { inputTokens, outputTokens }: SizeBucket, context: SimulationContext): Promise<readonly number[] | undefined> {
  const { fields } = context
  const scenario = scenarioOf(context, {
    primary_metric: 'capacity_goodput',
    variants: types.map(({ name, accelerator }) => ({ name, fleet: [{ name, accelerator, model: fields.model }] })),
    workload: { lengths: { kind: 'fixed', prompt: inputTokens, output: outputTokens }, arrivals: 'poisson', duration_s: fields.profile_seconds },
    search: { kind: 'capacity', pass: { attainment: fields.attainment }, start_rate: START_RATE, granularity: PROFILE_GRANULARITY },
  })
  const results = await run(scenario, context, null)
  const capacities = results.map((result) => result?.search?.capacity)
  return capacities.every((capacity) => capacity !== undefined) ? capacities : undefined
}

export interface SimulatedAttainment {
  readonly policies: string
  readonly numRequests: number
  /** Share of requests within the SLO, 0..1. */
  readonly attainmentRatio: number
  readonly p99TtftMs: number | null
  readonly p99TpotMs: number | null
}

/** A fleet, by counts of the configuration's types, on the workload's sizes at its rate. Undefined: it was stopped. */
export async function simulateFleet(counts: readonly number[], context: SimulationContext): Promise<SimulatedAttainment | undefined> {
  const { fields } = context
  const groups = fields.types.flatMap(({ name, accelerator }, index) => (counts[index] === 0 ? [] : [{ name, accelerator, model: fields.model, count: counts[index] }]))
  const scenario = scenarioOf(context, {
    primary_metric: 'slo_attainment',
    fleet: groups,
    workload: { lengths: { kind: 'trace', file: fields.workload.file, order: 'random' }, arrivals: 'poisson', rate: fields.rate, num_requests: fields.num_requests },
  })
  const [result] = await run(scenario, context, fields.rate)
  if (result === undefined || result.trial === null) return undefined
  const { policies } = scenario.variants[0]!
  const { slo_attainment: attainment, ttft_ms: ttft, tpot_ms: tpot, offered } = result.trial
  return { policies: `dispatch ${policies.dispatch}, migration ${policies.migration}`, numRequests: offered, attainmentRatio: attainment ?? 0, p99TtftMs: ttft.p99, p99TpotMs: tpot.p99 }
}

function scenarioOf({ fields, file }: SimulationContext, parts: Readonly<Record<string, unknown>>): Scenario {
  const { ttftMs, tpotMs } = fields.slo!
  const slo = { ...(ttftMs === null ? {} : { ttft_ms: ttftMs }), ...(tpotMs === null ? {} : { tpot_ms: tpotMs }) }
  return parseScenario(JSON.stringify({ name: 'fleet', description: 'a fleet', timer: fields.timer, slo, ...parts }), file, CATALOG)
}

function run(scenario: Scenario, { numThreads, signal }: SimulationContext, ratePerSec: number | null): Promise<readonly (JobResult | undefined)[]> {
  const jobs = scenario.variants.map((_, variant): Job => ({ variant, seed: SEED, ratePerSec, keepsDetails: false }))
  return runJobs({ scenario, jobs, numThreads, signal, onProgress: () => {}, onDone: () => {} })
}
