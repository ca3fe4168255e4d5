// What a step holds, summed: everything that the timers but the profile's ask of it.
import type { StepWork } from '@rubato/policy'

export interface StepSums {
  numCells: number
  /** Tokens of its cells. */
  cellTokens: number
  /** (query, key) pairs of its cells' attention, causal halves included. */
  cellPairs: number
  /** KV tokens that its cells read: their contexts and themselves. */
  cellReads: number
  numDecodes: number
  /** Rows of its decodes: one per sequence and one per draft node. */
  decodeRows: number
  /** KV tokens that its decodes read, each sequence's once. */
  contextTokens: number
  /** The longest of them. */
  longestContext: number
  /** (query, key) pairs of its decodes' attention. */
  decodePairs: number
}

export function emptySums(): StepSums {
  return { numCells: 0, cellTokens: 0, cellPairs: 0, cellReads: 0, numDecodes: 0, decodeRows: 0, contextTokens: 0, longestContext: 0, decodePairs: 0 }
}

/** Overwrites `sums` with those of a step. Nothing is allocated: this runs for every simulated step. */
export function sumStep(work: StepWork, sums: StepSums): void {
  const { cells, decodes } = work
  let [cellTokens, cellPairs, cellReads] = [0, 0, 0]
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!
    cellTokens += cell.cellTokens
    cellPairs += cell.cellTokens * cell.contextTokens + (cell.cellTokens * (cell.cellTokens + 1)) / 2
    cellReads += cell.contextTokens + cell.cellTokens
  }
  let [nodes, contextTokens, longestContext, decodePairs] = [0, 0, 0, 0]
  for (let i = 0; i < decodes.length; i++) {
    const decode = decodes[i]!
    nodes += decode.nodes
    contextTokens += decode.contextTokens
    decodePairs += decode.contextTokens * (1 + decode.nodes)
    if (decode.contextTokens > longestContext) longestContext = decode.contextTokens
  }
  sums.numCells = cells.length
  sums.cellTokens = cellTokens
  sums.cellPairs = cellPairs
  sums.cellReads = cellReads
  sums.numDecodes = decodes.length
  sums.decodeRows = decodes.length + nodes
  sums.contextTokens = contextTokens
  sums.longestContext = longestContext
  sums.decodePairs = decodePairs
}
