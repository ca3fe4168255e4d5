// `rubato plan placement` from its configuration to its report, on DistServe's profiles and queueing model.
import { setImmediate } from 'node:timers/promises'
import { InvalidArgument } from '@rubato/config'
import { independentPlacement, jointPlacement } from '@rubato/plan'
import type { PlacementProblem } from '@rubato/plan'
import { kvBytesPerToken, loadDistServeCapacity, loadDistServeProfile, requireModel } from '@rubato/sim/cost'
import { distServeInstance } from '@rubato/sim/reference'
import type { DistServePlacement, Parallelism } from '@rubato/sim/reference'
import { readTrace } from '../../bench/serve/dataset/trace-rows.ts'
import { renderTable } from '../../cli/table.ts'
import type { PlacementFields } from './placement-config.ts'

interface PlacementRow {
  readonly segments: number
  readonly prefill: Parallelism
  readonly decode: Parallelism
  readonly gpus: number
  /** Requests per second and GPU that keep the SLO. */
  readonly rate_per_gpu: number
}

interface PhaseRow extends Parallelism {
  readonly rate_per_gpu: number
  readonly instances: number
  readonly gpus: number
}

/** Field names are an interface to scripts. */
export interface PlacementReport {
  readonly model: string
  readonly rate: number
  readonly rule: PlacementFields['rule']
  readonly transfer_ms_per_token: number
  /** False: stopped early; the rows that are here are whole. */
  readonly complete: boolean
  /** Pairs of a prefill and a decode instance (DistServe, Algorithm 2); null: none keeps the SLO at any rate. */
  readonly pairs: (PlacementRow & { readonly count: number; readonly total_gpus: number }) | null
  /** Instances of each phase apart (Algorithm 1); null: the links are slow. */
  readonly independent: { readonly prefill: PhaseRow | null; readonly decode: PhaseRow | null } | null
  /** Best first. */
  readonly tried: readonly PlacementRow[]
}

export interface PlacementOptions {
  readonly progress: (line: string) => void
  readonly signal: AbortSignal
}

/** Throws InvalidArgument for a model without profiles, or a trace that cannot be read. */
export async function runPlacement(fields: PlacementFields, { progress, signal }: PlacementOptions): Promise<PlacementReport> {
  const problem = problemOf(fields)
  const search = jointPlacement(problem)
  // Nothing else runs while a placement is searched: signals are seen in between.
  let step = search.next()
  while (step.done !== true) {
    progress(`placement ${step.value.numTried + 1} of ${step.value.numPlacements}`)
    await setImmediate()
    step = search.next(!signal.aborted)
  }
  const { plan, ranked, complete } = step.value
  const independent = fields.links === 'fast' && complete ? independentPlacement(problem) : null
  const phase = (one: NonNullable<typeof independent>['prefill']): PhaseRow | null => (one === null ? null : { ...one.parallelism, rate_per_gpu: one.ratePerGpu, instances: one.numInstances, gpus: one.numGpus })
  return {
    model: fields.model, rate: fields.rate, rule: fields.rule, transfer_ms_per_token: problem.transferMsPerToken, complete,
    pairs: plan === null ? null : { ...rowOf(plan.best.placement, plan.best), count: plan.numPairs, total_gpus: plan.numGpus },
    independent: independent === null ? null : { prefill: phase(independent.prefill), decode: phase(independent.decode) },
    tried: ranked.map((one) => rowOf(one.placement, one)),
  }
}

function rowOf({ numSegments, prefill, decode }: DistServePlacement, { numGpus, ratePerGpu }: { readonly numGpus: number; readonly ratePerGpu: number }): PlacementRow {
  return { segments: numSegments, prefill, decode, gpus: numGpus, rate_per_gpu: ratePerGpu }
}

function problemOf(fields: PlacementFields): PlacementProblem {
  const model = requireModel(fields.model)
  const profile = loadDistServeProfile(fields.engine)
  if (!profile.has(model.name)) throw new InvalidArgument('model', `DistServe measured nothing for ${model.name}; it did for ${[...profile.keys()].join(', ')}`)
  const catalogue = { profile, capacity: loadDistServeCapacity(), model: model.name }
  return {
    space: { numHeads: model.numHeads, numLayers: model.numLayers, numNodes: fields.nodes, gpusPerNode: fields.gpus_per_node, linksBetweenNodes: fields.links },
    instance: (parallelism) => distServeInstance(catalogue, parallelism),
    workload: workloadOf(fields),
    targets: { ttftMs: fields.slo.ttft_ms, tpotMs: fields.slo.tpot_ms, attainmentRatio: fields.attainment },
    rule: fields.rule,
    transferMsPerToken: fields.kv_gbps === undefined ? 0 : (kvBytesPerToken(model) * 8) / (fields.kv_gbps * 1e6),
    search: { maxRate: fields.search.max_rate, tolerance: fields.search.tolerance },
    ratePerSec: fields.rate,
  }
}

/** The first rows of the trace, their gaps stretched alike. */
function workloadOf({ workload: { file, num_requests: numRequests } }: PlacementFields): PlacementProblem['workload'] {
  const rows = readTrace(file, 'workload.file').slice(0, numRequests)
  const lastMs = rows.at(-1)!.arrivalMs
  if (lastMs === null || lastMs === 0) throw new InvalidArgument('workload.file', `${file} holds no times of arrival`)
  const ownRatePerSec = (1000 * (rows.length - 1)) / lastMs
  return (ratePerSec) => rows.map(({ arrivalMs, inputTokens, outputTokens }) => ({
    arrivalMs: (arrivalMs! * ownRatePerSec) / ratePerSec, promptTokens: Math.max(1, inputTokens), outputTokens: Math.max(1, outputTokens),
  }))
}

const shape = ({ tp, pp }: Parallelism): string => `tp ${tp}, pp ${pp}`

/** Lines for a terminal, without a trailing newline. */
export function renderPlacementReport({ pairs, independent, tried, rate, complete }: PlacementReport): string {
  const phase = (name: string, row: PhaseRow | null): string[] => (row === null ? [name, 'none keeps the SLO', '-', '-'] : [name, shape(row), String(row.instances), String(row.gpus)])
  return [
    pairs === null ? 'No placement keeps the SLO at any rate.' : `${rate} requests/s take ${pairs.count} x (prefill ${shape(pairs.prefill)}; decode ${shape(pairs.decode)}) = ${pairs.total_gpus} GPUs.`,
    ...(independent === null ? [] : ['', renderTable([phase('prefill', independent.prefill), phase('decode', independent.decode)], { head: ['Phase', 'Instance', 'Count', 'GPUs'] })]),
    '', renderTable(tried.map((row) => [shape(row.prefill), shape(row.decode), String(row.segments), String(row.gpus), row.rate_per_gpu.toFixed(3)]), { head: ['Prefill', 'Decode', 'Segments', 'GPUs', 'Requests/s and GPU'] }),
    ...(complete ? [] : ['Stopped before every placement was tried.']),
  ].join('\n')
}
