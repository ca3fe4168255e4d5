// DistServe's placement search as its code does it (the paper's Algorithm 2, and 1 joined to it): one prefill and one
// decode instance, every split of the GPUs, the highest rate per GPU by bisection.
import { bisectCapacity, DISTSERVE_SEARCH } from '../capacity.ts'
import type { CapacitySearch } from '../capacity.ts'
import type { ReferenceRequest } from '../trace.ts'
import type { Parallelism } from './catalogue.ts'
import type { DistServeInstance } from './pipeline.ts'
import { meetsDistServeTargets, simulateDistServe } from './simulate.ts'
import type { DistServeTargets } from './simulate.ts'

/** Degrees per segment; an instance has `numSegments` times as many pipeline stages. */
export interface DistServePlacement {
  /** Pipeline segments, each with its share of both instances. Above 1 only when the links between nodes are slow. */
  readonly numSegments: number
  readonly prefill: Parallelism
  readonly decode: Parallelism
}

export interface PlacementSpace {
  /** Tensor parallelism divides the attention heads, pipeline parallelism the layers. */
  readonly numHeads: number
  readonly numLayers: number
  readonly numNodes: number
  readonly gpusPerNode: number
  /** Slow: KV must not cross nodes, so that both instances have each segment in one node. */
  readonly linksBetweenNodes: 'fast' | 'slow'
}

/** GPUs of both instances. */
export function numGpus({ numSegments, prefill, decode }: DistServePlacement): number {
  return numSegments * (prefill.tp * prefill.pp + decode.tp * decode.pp)
}

function divisors(value: number, atMost: number): number[] {
  return Array.from({ length: Math.min(value, atMost) }, (_, i) => i + 1).filter((candidate) => value % candidate === 0)
}

/** Every placement that fits, in the order of the original's loops. */
export function enumeratePlacements({ numHeads, numLayers, numNodes, gpusPerNode, linksBetweenNodes }: PlacementSpace): DistServePlacement[] {
  const totalGpus = numNodes * gpusPerNode
  const segmentGpus = linksBetweenNodes === 'fast' ? totalGpus : gpusPerNode
  const parallelisms = divisors(numHeads, segmentGpus).flatMap((tp) => divisors(numLayers, segmentGpus).map((pp): Parallelism => ({ tp, pp })))
  const segments = linksBetweenNodes === 'fast' ? [1] : divisors(numLayers, numNodes)
  return segments
    .flatMap((numSegments) => parallelisms.flatMap((prefill) => parallelisms.map((decode): DistServePlacement => ({ numSegments, prefill, decode }))))
    .filter((placement) => {
      const { numSegments, prefill, decode } = placement
      const gpus = numGpus(placement)
      return gpus <= totalGpus && gpus / numSegments <= segmentGpus && numLayers % (numSegments * prefill.pp) === 0 && numLayers % (numSegments * decode.pp) === 0
    })
}

export interface PlacementResult {
  readonly placement: DistServePlacement
  /** Requests per second and GPU; 0 when no trial passed. */
  readonly ratePerGpu: number
}

/** The one with the highest rate per GPU; of equals the one with fewer GPUs, then the earlier one. Undefined for none. */
export function bestPlacement(results: readonly PlacementResult[]): PlacementResult | undefined {
  return results.toSorted((a, b) => b.ratePerGpu - a.ratePerGpu || numGpus(a.placement) - numGpus(b.placement))[0]
}

export interface PlacementSearch {
  readonly space: PlacementSpace
  /** The instance of that parallelism; undefined when the model has no profile there, or does not fit: such placements are left out. */
  readonly instance: (parallelism: Parallelism) => DistServeInstance | undefined
  /** The trace at that many requests per second. */
  readonly workload: (ratePerSec: number) => readonly ReferenceRequest[]
  readonly targets: DistServeTargets
  /** Of requests per second and GPU. @default DISTSERVE_SEARCH: its ceiling of 5 is too low for short prompts, where every placement reaches it */
  readonly search?: CapacitySearch
}

/** Every placement's rate by simulation of the pair. */
export function searchPlacements({ space, instance, workload, targets, search = DISTSERVE_SEARCH }: PlacementSearch): PlacementResult[] {
  return enumeratePlacements(space).flatMap((placement) => {
    const { numSegments } = placement
    const [prefill, decode] = [placement.prefill, placement.decode].map(({ tp, pp }) => instance({ tp, pp: numSegments * pp }))
    if (prefill === undefined || decode === undefined) return []
    const passes = (ratePerGpu: number): boolean =>
      meetsDistServeTargets(simulateDistServe({ mode: 'pair', prefill: [prefill], decode: [decode] }, workload(ratePerGpu * numGpus(placement))), targets)
    return [{ placement, ratePerGpu: bisectCapacity(passes, search) }]
  })
}
