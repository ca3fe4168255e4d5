// From a YAML file to a scenario that can be run: parsed, checked field by field and as a whole, variants filled in.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { InvalidArgument } from '@rubato/config'
import { parse } from 'yaml'
import type { Catalog } from './check-scenario.ts'
import { checkScenario } from './check-scenario.ts'
import { refusalOf } from './refuse.ts'
import type { Limits, Policies, Scenario, Variant } from './scenario.ts'
import { DEFAULT_LIMITS, DEFAULT_POLICIES } from './schema/policy-schema.ts'
import type { LimitFields, PolicyFields } from './schema/policy-schema.ts'
import { SCENARIO_SCHEMA } from './schema/scenario-schema.ts'
import type { ScenarioFields, VariantFields } from './schema/scenario-schema.ts'

/** Throws InvalidArgument whose field is the path of what is wrong in the file, or `FILE` where it cannot be read. */
export async function readScenario(file: string, catalog: Catalog): Promise<Scenario> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new InvalidArgument('FILE', `cannot read ${file}: ${(cause as Error).message}`, { cause })
  })
  return parseScenario(text, path.resolve(file), catalog)
}

/** `file` is absolute: paths inside the scenario start from its folder. */
export function parseScenario(text: string, file: string, catalog: Catalog): Scenario {
  const parsed = SCENARIO_SCHEMA.safeParse(parseYaml(text, file), { reportInput: true })
  if (!parsed.success) throw refusalOf(parsed.error.issues, file)
  const scenario = resolve(parsed.data, file, catalog)
  checkScenario(scenario, parsed.data, catalog)
  return scenario
}

function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0]?.replace(/:$/, '') : String(cause)
    throw new InvalidArgument('FILE', `${file} is not valid YAML: ${reason}`, { cause })
  }
}

function resolve(given: ScenarioFields, file: string, catalog: Catalog): Scenario {
  const { name, description, seeds, engine, faults } = given
  const folder = path.dirname(file)
  const variants = given.variants ?? [{ name: 'default' }]
  return {
    file, name, description, seeds, engine, faults,
    primaryMetric: given.primary_metric,
    numRouters: given.routers,
    jitterRatio: given.step_jitter_ratio,
    variants: variants.map((variant, index) => variantOf(given, variant, { index, folder, file, catalog })),
    workload: withAbsoluteFile(given.workload, folder),
    slo: given.slo ?? null,
    search: given.search ?? null,
  }
}

interface VariantContext {
  readonly index: number
  readonly folder: string
  readonly file: string
  readonly catalog: Catalog
}

function variantOf(given: ScenarioFields, variant: VariantFields, { index, folder, file, catalog }: VariantContext): Variant {
  const fleet = variant.fleet ?? given.fleet
  if (fleet === undefined) throw new InvalidArgument(given.variants === undefined ? 'fleet' : `variants[${index}].fleet`, `(in ${file}) is missing, and the scenario has no fleet for all variants`)
  const timer = variant.timer ?? given.timer
  const limits = { ...given.limits, ...variant.limits }
  return {
    name: variant.name,
    description: variant.description ?? null,
    fleet,
    timer: timer.kind === 'profile' ? { ...timer, file: path.resolve(folder, timer.file) } : timer,
    policies: policiesOf({ ...given.policies, ...variant.policies }),
    limits: limitsOf(limits, limits.max_model_len ?? catalog.maxModelLen(fleet[0]!.model) ?? 0),
  }
}

function policiesOf(given: PolicyFields): Policies {
  return {
    batching: given.batching ?? DEFAULT_POLICIES.batching,
    dispatch: given.dispatch ?? DEFAULT_POLICIES.dispatch,
    placement: given.placement ?? DEFAULT_POLICIES.placement,
    migration: given.migration ?? DEFAULT_POLICIES.migration,
    speculation: given.speculation ?? DEFAULT_POLICIES.speculation,
  }
}

function limitsOf(given: LimitFields, maxModelLen: number): Limits {
  return {
    maxModelLen,
    maxNumSeqs: given.max_num_seqs ?? DEFAULT_LIMITS.maxNumSeqs,
    maxNumBatchedTokens: given.max_num_batched_tokens ?? DEFAULT_LIMITS.maxNumBatchedTokens,
    blockSize: given.block_size ?? DEFAULT_LIMITS.blockSize,
    cellTokens: given.prefill_cell_tokens ?? DEFAULT_LIMITS.cellTokens,
    maxConcurrentRequests: given.max_concurrent_requests ?? null,
    queueSize: given.queue_size ?? null,
    queueTimeoutMs: given.queue_timeout_s === undefined ? null : given.queue_timeout_s * 1000,
  }
}

function withAbsoluteFile(workload: ScenarioFields['workload'], folder: string): Scenario['workload'] {
  const { lengths } = workload
  return lengths.kind === 'trace' ? { ...workload, lengths: { ...lengths, file: path.resolve(folder, lengths.file) } } : workload
}
