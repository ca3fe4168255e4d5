// What all batching policies share: the order of service, and the ledger that no grant may overdraw.
import { predictCellMs, predictCellsMs } from '../cost-model/model.ts'
import type { StepCostModel } from '../cost-model/model.ts'
import type { BatchingSnapshot, BatchPlan, CellGrant, DecodeDemand, PrefillDemand } from './snapshot.ts'

/** Rows of the decodes: last tokens, and the draft nodes that targets need. */
export function decodeTokens(decodes: readonly DecodeDemand[]): number {
  return decodes.reduce((sum, { nodes = 0 }) => sum + 1 + nodes, 0)
}

/** Of all cells that it still has. */
export function remainingTokens({ cellTokens }: PrefillDemand): number {
  return cellTokens.reduce((sum, tokens) => sum + tokens, 0)
}

/** Time of all cells that it still has, by themselves. */
export function predictPrefillMs(model: StepCostModel, prefill: PrefillDemand): number {
  return predictCellsMs(model, { numCells: prefill.cellTokens.length, contextTokens: prefill.contextTokens, tokens: remainingTokens(prefill) })
}

/** Grants its cells in order while `fits` has time for the next one and the ledger has tokens. False at the first that is not granted. */
export function grantCells(ledger: GrantLedger, prefill: PrefillDemand, model: StepCostModel, fits: (cellMs: number) => boolean): boolean {
  let { contextTokens } = prefill
  for (const cellTokens of prefill.cellTokens) {
    if (!fits(predictCellMs(model, { cellTokens, contextTokens })) || !ledger.grant(prefill, cellTokens)) return false
    contextTokens += cellTokens
  }
  return true
}

/** Started prefills first, then as many waiting ones as there are sequence slots, both in the given order. */
export function serviceOrder(snapshot: BatchingSnapshot): readonly PrefillDemand[] {
  const started = snapshot.prefills.filter(({ admitted }) => admitted)
  const waiting = snapshot.prefills.filter(({ admitted }) => !admitted)
  return [...started, ...waiting.slice(0, Math.max(0, snapshot.freeSequenceSlots))]
}

/**
 * Tokens of one step under construction.
 *
 * 1. Decodes plus granted tokens stay within max(maxBatchedTokens, decodes), except for a lone cell in an empty step.
 * 2. A prefill's cells are granted in order; grants keep the order of service.
 */
export class GrantLedger {
  readonly #maxTokens: number
  readonly #decodeTokens: number
  readonly #grants = new Map<number, number>()
  #usedTokens: number
  #budgetTokens: number
  #numCells = 0

  constructor(snapshot: BatchingSnapshot, decodeTokens: number) {
    this.#decodeTokens = decodeTokens
    this.#usedTokens = decodeTokens
    this.#maxTokens = Math.max(snapshot.maxBatchedTokens, decodeTokens)
    this.#budgetTokens = this.#maxTokens
  }

  get numCells(): number {
    return this.#numCells
  }

  canGrant(tokens: number): boolean {
    const isEmptyStep = this.#decodeTokens === 0 && this.#numCells === 0
    return isEmptyStep || this.#usedTokens + tokens <= this.#maxTokens
  }

  /** Grants the next cell of a prefill; false (and nothing granted) when it does not fit. */
  grant(prefill: PrefillDemand, cellTokens: number): boolean {
    if (!this.canGrant(cellTokens)) return false
    this.#grants.set(prefill.handle, (this.#grants.get(prefill.handle) ?? 0) + 1)
    this.#usedTokens += cellTokens
    this.#numCells += 1
    return true
  }

  /** The step is full at what was granted: that is its budget. Always false, for use as a grant's answer. */
  closeAtUsed(): false {
    this.#budgetTokens = this.#usedTokens
    return false
  }

  plan(runDecodes: boolean): BatchPlan {
    const cells: CellGrant[] = []
    for (const [handle, numCells] of this.#grants) cells.push({ handle, numCells })
    return { runDecodes, cells, budgetTokens: this.#budgetTokens }
  }
}
