// The step-time model: what a decode run and a prefill cell cost, in milliseconds, as a linear form of the work in them.
// It is a plain JSON value; batching, speculation and dispatch predict with it, and residuals correct it online.
//
// A step is a sequence of runs, so its time is the sum of theirs: every cell is one run, and decodes make one run per
// number of rows per sequence. Every run pays its own fixed cost.

export interface DecodeCost {
  /** Cost of any run: streaming the weights, launching. */
  readonly fixedMs: number
  /** Per sequence in the run. */
  readonly perSequenceMs: number
  /** Per draft node verified, the root excluded. */
  readonly perNodeMs: number
  /** Per token of context read, summed over the sequences. */
  readonly perContextTokenMs: number
}

export interface CellCost {
  readonly fixedMs: number
  readonly perTokenMs: number
  /** Per (query, key) pair of its attention, its own causal half included. */
  readonly perPairMs: number
}

export interface StepCostModel {
  readonly decode: DecodeCost
  readonly cell: CellCost
  /** Online residual: every prediction is multiplied by it. 1 when fresh. */
  readonly correctionRatio: number
}

export interface DecodeWork {
  /** Sequences in the run. */
  readonly batch: number
  /** Their context tokens, summed. */
  readonly contextTokensSum: number
  /** Their draft nodes, summed; 0 for plain decode. */
  readonly nodes: number
}

export interface CellWork {
  readonly cellTokens: number
  /** Tokens already in KV before the cell. */
  readonly contextTokens: number
}

/** Query-key pairs of a cell: every token sees the context, and the cell's tokens up to itself. */
export function cellPairs({ cellTokens, contextTokens }: CellWork): number {
  return cellTokens * contextTokens + (cellTokens * (cellTokens + 1)) / 2
}

/** Predicted time of one decode or verify run; 0 for an empty batch. */
export function predictDecodeMs(model: StepCostModel, work: DecodeWork): number {
  if (work.batch === 0) return 0
  const { fixedMs, perSequenceMs, perNodeMs, perContextTokenMs } = model.decode
  const plainMs = fixedMs + perSequenceMs * work.batch + perNodeMs * work.nodes + perContextTokenMs * work.contextTokensSum
  return plainMs * model.correctionRatio
}

/** Predicted time of one prefill cell. */
export function predictCellMs(model: StepCostModel, work: CellWork): number {
  const { fixedMs, perTokenMs, perPairMs } = model.cell
  return (fixedMs + perTokenMs * work.cellTokens + perPairMs * cellPairs(work)) * model.correctionRatio
}

export interface CellsWork {
  readonly numCells: number
  /** Tokens already in KV before the first of them. */
  readonly contextTokens: number
  /** Of all of them together. */
  readonly tokens: number
}

/** The sum of predictCellMs over successive cells of a prompt, whatever their sizes: each pair of a query and a key is in one of them. */
export function predictCellsMs(model: StepCostModel, { numCells, contextTokens, tokens }: CellsWork): number {
  const { fixedMs, perTokenMs, perPairMs } = model.cell
  return (fixedMs * numCells + perTokenMs * tokens + perPairMs * cellPairs({ cellTokens: tokens, contextTokens })) * model.correctionRatio
}

/** Weight of the newest residual; a change of machine load shows after about ten steps. */
const RESIDUAL_WEIGHT = 0.1
/** One outlier (a page fault, a garbage collection) moves the correction no more than this ratio asks for. */
const MAX_RESIDUAL = 2
const MAX_CORRECTION = 8

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

/**
 * Folds one step's residual into the model: a moving average of measured / predicted, where predictedMs came from this
 * same model. A single residual counts as at most 2x either way; the correction stays within 1/8..8. Non-positive
 * times teach nothing.
 */
export function correctCostModel(model: StepCostModel, predictedMs: number, measuredMs: number): StepCostModel {
  if (!(predictedMs > 0) || !(measuredMs > 0)) return model
  const residual = clamp(measuredMs / predictedMs, 1 / MAX_RESIDUAL, MAX_RESIDUAL)
  const moved = model.correctionRatio * (1 + RESIDUAL_WEIGHT * (residual - 1))
  return { ...model, correctionRatio: clamp(moved, 1 / MAX_CORRECTION, MAX_CORRECTION) }
}
