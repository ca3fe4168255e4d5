// Request sizes on a grid: the buckets of a plan, and how a workload falls into them.
import { InvalidArgument } from '@rubato/config'
import type { SizeBucket } from './problem.ts'

/** Upper edges, ascending, each axis with one or more. Buckets go input by input, outputs innermost. */
export interface SizeGrid {
  readonly inputEdges: readonly number[]
  readonly outputEdges: readonly number[]
}

/** Where Mélange profiles. */
export const MELANGE_GRID: SizeGrid = { inputEdges: [25, 100, 250, 500, 1000, 2000], outputEdges: [25, 100, 250, 500, 1000, 2000] }

export function bucketsOf({ inputEdges, outputEdges }: SizeGrid): SizeBucket[] {
  return inputEdges.flatMap((inputTokens) => outputEdges.map((outputTokens) => ({ inputTokens, outputTokens })))
}

/** Throws InvalidArgument when an axis is empty or not ascending. */
export function checkSizeGrid({ inputEdges, outputEdges }: SizeGrid): void {
  for (const [field, edges] of [['grid.input', inputEdges], ['grid.output', outputEdges]] as const) {
    const ascending = edges.every((edge, index) => Number.isSafeInteger(edge) && edge > (edges[index - 1] ?? 0))
    if (edges.length === 0 || !ascending) throw new InvalidArgument(field, 'must hold whole numbers of tokens, ascending')
  }
}

export interface Histogram {
  /** By bucket, sums to 1. */
  readonly shares: readonly number[]
  /** Share of the requests that is larger than the last edge and counts there, 0..1: their plan is too small. */
  readonly beyondRatio: number
}

export interface RequestSize {
  readonly inputTokens: number
  readonly outputTokens: number
}

/** The first edge that is not below; the last one for what is larger. */
function edgeAt(edges: readonly number[], tokens: number): number {
  const index = edges.findIndex((edge) => tokens <= edge)
  return index < 0 ? edges.length - 1 : index
}

/** The bucket of a request: that of the last edges when it is larger. */
export function bucketAt({ inputEdges, outputEdges }: SizeGrid, { inputTokens, outputTokens }: RequestSize): number {
  return edgeAt(inputEdges, inputTokens) * outputEdges.length + edgeAt(outputEdges, outputTokens)
}

/** Throws InvalidArgument when there are no requests. */
export function histogramOf(grid: SizeGrid, sizes: readonly RequestSize[]): Histogram {
  if (sizes.length === 0) throw new InvalidArgument('workload', 'holds no requests')
  const counts = Array.from({ length: grid.inputEdges.length * grid.outputEdges.length }, () => 0)
  for (const size of sizes) counts[bucketAt(grid, size)]! += 1
  const numBeyond = sizes.filter(({ inputTokens, outputTokens }) => inputTokens > grid.inputEdges.at(-1)! || outputTokens > grid.outputEdges.at(-1)!).length
  return { shares: counts.map((count) => count / sizes.length), beyondRatio: numBeyond / sizes.length }
}
