// DistServe's Algorithm 1, for fast links between all nodes: each phase has the parallelism of its own highest rate per GPU,
// and as many instances as the rate takes.
import { bisectCapacity, simulateDistServe } from '@rubato/sim/reference'
import type { DistServeInstance, Parallelism } from '@rubato/sim/reference'
import { checkPlacementProblem, passes } from './problem.ts'
import type { PlacementProblem } from './problem.ts'

export interface PhasePlan {
  readonly parallelism: Parallelism
  /** Requests per second and GPU of one instance that does this phase alone. */
  readonly ratePerGpu: number
  readonly numInstances: number
  readonly numGpus: number
}

export interface IndependentPlacement {
  /** null: no parallelism keeps the target at any rate. */
  readonly prefill: PhasePlan | null
  readonly decode: PhasePlan | null
}

type Phase = keyof IndependentPlacement

/** Each phase is held to its own target only, so that the rule makes no difference. Throws InvalidArgument as jointPlacement does. */
export function independentPlacement(problem: PlacementProblem): IndependentPlacement {
  checkPlacementProblem(problem)
  return { prefill: bestOf('prefill', problem), decode: bestOf('decode', problem) }
}

function bestOf(phase: Phase, problem: PlacementProblem): PhasePlan | null {
  let best: { readonly parallelism: Parallelism; readonly ratePerGpu: number; readonly gpus: number } | null = null
  for (const parallelism of parallelisms(problem)) {
    const instance = problem.instance(parallelism)
    if (instance === undefined) continue
    const gpus = parallelism.tp * parallelism.pp
    const ratePerGpu = bisectCapacity((rate) => phasePasses(phase, instance, rate * gpus, problem), problem.search)
    if (best === null || ratePerGpu > best.ratePerGpu || (ratePerGpu === best.ratePerGpu && gpus < best.gpus)) best = { parallelism, ratePerGpu, gpus }
  }
  if (best === null || best.ratePerGpu === 0) return null
  const numInstances = Math.ceil(problem.ratePerSec / (best.ratePerGpu * best.gpus))
  return { parallelism: best.parallelism, ratePerGpu: best.ratePerGpu, numInstances, numGpus: numInstances * best.gpus }
}

/** Tensor parallelism within a node, pipeline stages over all nodes. */
function* parallelisms({ space: { numHeads, numLayers, numNodes, gpusPerNode } }: PlacementProblem): Generator<Parallelism> {
  for (let tp = 1; tp <= gpusPerNode; tp++) {
    for (let pp = 1; pp * tp <= numNodes * gpusPerNode; pp++) {
      if (numHeads % tp === 0 && numLayers % pp === 0) yield { tp, pp }
    }
  }
}

/** The other phase takes no time, so that its target is kept anyway. */
function phasePasses(phase: Phase, instance: DistServeInstance, ratePerSec: number, problem: PlacementProblem): boolean {
  const trace = problem.workload(ratePerSec)
  const records = simulateDistServe(phase === 'prefill' ? { mode: 'prefill-only', prefill: [instance] } : { mode: 'decode-only', decode: [instance] }, trace)
  return passes(records, phase === 'prefill' ? { ...problem, transferMsPerToken: 0 } : problem)
}
