// What no single field can say: whether the parts of a scenario fit together. The first thing wrong is thrown as
// InvalidArgument by the path of its field.
import { InvalidArgument } from '@rubato/config'
import { CAPACITY_METRICS } from './primary-metrics.ts'
import type { PrimaryMetric } from './primary-metrics.ts'
import { instanceNames } from './scenario.ts'
import type { FaultSpec, FleetGroup, Scenario, TimerChoice, Variant } from './scenario.ts'
import type { ScenarioFields } from './schema/scenario-schema.ts'

/** What there is to build fleets of. */
export interface Catalog {
  readonly accelerators: readonly string[]
  readonly models: readonly string[]
  /** Context that the model was published with; null: no such model. */
  maxModelLen(model: string): number | null
  /** KV of one instance, in tokens; 0 or less where not even the weights fit. */
  kvTokens(group: FleetGroup): number
  /** Why this timer cannot say how long the group's steps take; null: it can. */
  timerProblem(timer: TimerChoice, group: FleetGroup): TimerProblem | null
}

export interface TimerProblem {
  /** Of the group or of the timer. */
  readonly field: string
  readonly message: string
}

/** Fails by its field. */
type Refuse = (field: string, message: string) => never

/** `given`: the file's own fields, which tell where a value of a variant stands. */
export function checkScenario(scenario: Scenario, given: ScenarioFields, catalog: Catalog): void {
  const refuse: Refuse = (field, message) => {
    throw new InvalidArgument(field, `(in ${scenario.file}) ${message}`)
  }
  const names = scenario.variants.map(({ name }) => name)
  names.forEach((name, index) => {
    if (names.indexOf(name) !== index) refuse(`variants[${index}].name`, `${name} is also the name of an earlier variant`)
  })
  scenario.variants.forEach((variant, index) => {
    const pathOf = (part: 'fleet' | 'limits' | 'timer'): string => (given.variants?.[index]?.[part] === undefined ? part : `variants[${index}].${part}`)
    checkVariant(variant, { scenario, pathOf, catalog, refuse })
  })
  checkWorkload(scenario, refuse)
  checkGoals(scenario, catalog, refuse)
}

interface VariantContext {
  readonly scenario: Scenario
  /** Where the variant has this from. */
  readonly pathOf: (part: 'fleet' | 'limits' | 'timer') => string
  readonly catalog: Catalog
  readonly refuse: Refuse
}

function checkVariant(variant: Variant, context: VariantContext): void {
  const { pathOf, scenario, refuse } = context
  const { fleet, limits } = variant
  fleet.forEach((group, index) => checkGroup(variant, group, { ...context, path: `${pathOf('fleet')}[${index}]` }))
  if (!fleet.some(({ role }) => role !== 'decode')) refuse(pathOf('fleet'), 'has no instance for prompts: give one group the role prefill or mixed')
  if (!fleet.some(({ role }) => role !== 'prefill')) refuse(pathOf('fleet'), 'has no instance for tokens: give one group the role decode or mixed')
  if (limits.cellTokens % limits.blockSize !== 0) refuse(`${pathOf('limits')}.prefill_cell_tokens`, `${limits.cellTokens} must be a multiple of block_size ${limits.blockSize}`)
  const least = limits.maxNumSeqs + limits.cellTokens
  if (limits.maxNumBatchedTokens < least) refuse(`${pathOf('limits')}.max_num_batched_tokens`, `${limits.maxNumBatchedTokens} is too few: a step must hold max_num_seqs ${limits.maxNumSeqs} and one cell of ${limits.cellTokens}; use at least ${least}, or lower those`)
  scenario.faults.forEach((fault, index) => checkFault(fault, { known: processNames(scenario, variant), field: `faults[${index}]`, variant: variant.name, refuse }))
}

function checkGroup({ fleet, limits, timer }: Variant, group: FleetGroup, { path, pathOf, catalog, refuse }: VariantContext & { readonly path: string }): void {
  const first = fleet[0]!
  if (fleet.find(({ name }) => name === group.name) !== group) refuse(`${path}.name`, `${group.name} is also the name of an earlier group`)
  if (!catalog.accelerators.includes(group.accelerator)) refuse(`${path}.accelerator`, `"${group.accelerator}" must be one of ${catalog.accelerators.join(', ')}`)
  if (!catalog.models.includes(group.model)) refuse(`${path}.model`, `"${group.model}" must be one of ${catalog.models.join(', ')}`)
  if (group.model !== first.model) refuse(`${path}.model`, `${group.model} differs from ${first.model} of group ${first.name}: all serve one model`)
  const problem = catalog.timerProblem(timer, group)
  if (problem !== null) refuse(`${problem.field in group ? path : pathOf('timer')}.${problem.field}`, problem.message)
  const kvTokens = group.kvTokens ?? catalog.kvTokens(group)
  if (kvTokens < limits.maxModelLen) {
    refuse(path, `holds ${Math.max(0, Math.floor(kvTokens))} tokens of KV, less than one request of max_model_len ${limits.maxModelLen}: raise tp, or lower limits.max_model_len`)
  }
}

/** Instances, routers, migrators. */
function processNames({ numRouters }: Scenario, { fleet, policies }: Variant): string[] {
  return [...instanceNames(fleet), ...Array.from({ length: numRouters }, (_, index) => `r${index + 1}`), ...(policies.migration === 'off' ? [] : ['m1'])]
}

interface FaultContext {
  readonly known: readonly string[]
  readonly field: string
  readonly variant: string
  readonly refuse: Refuse
}

function checkFault(fault: FaultSpec, { known, field, variant, refuse }: FaultContext): void {
  const check = (name: string, where: string): void => {
    if (!known.includes(name)) refuse(`${field}.${where}`, `"${name}" is no process of variant ${variant}; there are ${known.slice(0, 8).join(', ')}${known.length > 8 ? ', ...' : ''}`)
  }
  if (fault.kind === 'partition') fault.names.forEach((name, index) => check(name, `names[${index}]`))
  else if ('name' in fault) check(fault.name, 'name')
}

function checkWorkload({ workload, search }: Scenario, refuse: Refuse): void {
  const { rate, rates, numRequests, durationS, arrivals, lengths } = workload
  if (rate !== null && rates !== null) refuse('workload.rates', 'and rate contradict each other; keep one')
  if (search !== null && (rate !== null || rates !== null)) refuse(`workload.${rate === null ? 'rates' : 'rate'}`, 'contradicts search, which finds the rate itself; keep one')
  if (search === null && rate === null && rates === null && arrivals.kind !== 'trace') refuse('workload.rate', 'is missing: give rate, rates or search')
  if (arrivals.kind === 'trace' && lengths.kind !== 'trace') refuse('workload.arrivals', 'of a trace need lengths of a trace')
  if (numRequests === null && durationS === null && arrivals.kind !== 'trace') refuse('workload.num_requests', 'is missing: give num_requests or duration_s')
  if (numRequests !== null && durationS !== null) refuse('workload.duration_s', 'and num_requests contradict each other; keep one')
}

const NEEDS_SLO: readonly PrimaryMetric[] = ['slo_attainment', 'tpot_attainment', 'slo_goodput']

function checkGoals({ primaryMetric, search, slo, workload, variants }: Scenario, catalog: Catalog, refuse: Refuse): void {
  const hasTargets = slo !== null || (workload.classes ?? []).some((one) => one.slo !== null)
  const isCapacity = CAPACITY_METRICS.some((metric) => metric === primaryMetric)
  if (isCapacity && search === null) refuse('primary_metric', `${primaryMetric} is found by a search: add one, or choose another metric`)
  if (primaryMetric === 'capacity_goodput' && search?.pass.attainmentRatio === null) refuse('search.pass.attainment', 'is missing: capacity_goodput is the highest rate that keeps an attainment')
  if (!hasTargets && NEEDS_SLO.includes(primaryMetric)) refuse('slo', `is missing: ${primaryMetric} needs targets`)
  if (!hasTargets && search !== null && search.pass.attainmentRatio !== null) refuse('slo', 'is missing: search.pass.attainment needs targets')
  if (search !== null && search.pass.slowdown && (slo?.reference ?? null) === null) refuse('slo.slowdown_against', 'is missing: search.pass.slowdown needs a reference machine')
  const reference = slo?.reference ?? null
  if (reference === null) return
  if (!catalog.accelerators.includes(reference.accelerator)) refuse('slo.slowdown_against.accelerator', `"${reference.accelerator}" must be one of ${catalog.accelerators.join(', ')}`)
  const problem = catalog.timerProblem(variants[0]!.timer, referenceGroup(variants[0]!, reference))
  if (problem !== null) refuse(`slo.slowdown_against.${problem.field}`, problem.message)
}

/** The machine that slowdowns are told against: it serves the same model, by the first variant's timer. */
export function referenceGroup({ fleet }: Variant, { accelerator, tp }: { readonly accelerator: string; readonly tp: number }): FleetGroup {
  return { ...fleet[0]!, name: 'reference', accelerator, tp, pp: 1, count: 1, role: 'mixed' }
}
