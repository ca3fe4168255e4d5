// Stall-free batching (Sarathi-Serve, OSDI'24 §4): decodes always run; prefill cells fill what the tightest target
// leaves. Deviations from the paper: the token budget is computed each step from the cost model and the running
// decodes' TPOT targets, not chosen once per deployment; cells are atomic, so the budget decides how many run.
import { predictCellMs } from '../cost-model/model.ts'
import type { StepCostModel } from '../cost-model/model.ts'
import { predictStepMs } from '../cost-model/step.ts'
import type { BatchingPolicy, BatchingSnapshot, BatchPlan, DecodeDemand, PrefillDemand } from './snapshot.ts'
import { GrantLedger, decodeTokens, grantCells, predictPrefillMs, serviceOrder } from './grants.ts'

export interface SarathiOptions {
  readonly costModel: StepCostModel
  /** Share of a TPOT target that a step may fill; the rest absorbs prediction error. Default 0.9. */
  readonly safetyRatio?: number
  /**
   * Step time when no decode has a target; null (default): defaultTbtFactor times the plain decode step. It bounds how
   * many cells run, but the first always may.
   */
  readonly defaultTbtMs?: number | null
  /** Default 4. */
  readonly defaultTbtFactor?: number
  /** When one cell alone breaks the target: at least one cell in this many steps. Default 16. */
  readonly maxCellSpacing?: number
}

type Settings = Required<SarathiOptions>

export const DEFAULT_SAFETY_RATIO = 0.9
/** A prompt is urgent when what it needs, and a quarter to spare, is all the time that is left. */
export const URGENT_RATIO = 1.25
const GOLDEN_RATIO = 0.6180339887498949

/**
 * True in one of `spacing` steps, without state. The clock is a decode's context, which grows by at least one token a
 * step; its golden-ratio sequence hits evenly whatever the stride, so that speculation cannot step over every hit.
 */
export function isSpacedTurn(contextTokens: number, spacing: number): boolean {
  return (contextTokens * GOLDEN_RATIO) % 1 < 1 / spacing
}

/** How long the step may take for every target: one that emits several tokens has their time. */
function tightestTpotMs(decodes: readonly DecodeDemand[]): number | null {
  let tightestMs: number | null = null
  for (const { tpotMs, expectedTokens = 1 } of decodes) {
    if (tpotMs !== null && (tightestMs === null || tpotMs * expectedTokens < tightestMs)) tightestMs = tpotMs * expectedTokens
  }
  return tightestMs
}

function nextCellMs(prefill: PrefillDemand, model: StepCostModel): number {
  return predictCellMs(model, { cellTokens: prefill.cellTokens[0] ?? 0, contextTokens: prefill.contextTokens })
}

/** Its first-token target is still in reach, but not by waiting. */
function isUrgent(prefill: PrefillDemand, decodeMs: number, model: StepCostModel): boolean {
  if (prefill.ttftSlackMs === null || prefill.ttftSlackMs < 0) return false
  return prefill.ttftSlackMs <= URGENT_RATIO * (predictPrefillMs(model, prefill) + prefill.cellTokens.length * decodeMs)
}

/** What one step has to work with. */
interface StepTimes {
  readonly decodeMs: number
  /** The step's predicted time stays within this. */
  readonly limitMs: number
  /** False: no decode has a target, and the limit is only a habit. */
  readonly isTarget: boolean
}

function stepTimes(decodes: readonly DecodeDemand[], settings: Settings): StepTimes {
  const decodeMs = predictStepMs(settings.costModel, { cells: [], decodes })
  const targetMs = tightestTpotMs(decodes)
  if (targetMs !== null) return { decodeMs, limitMs: targetMs * settings.safetyRatio, isTarget: true }
  return { decodeMs, limitMs: settings.defaultTbtMs ?? decodeMs * settings.defaultTbtFactor, isTarget: false }
}

/**
 * One cell breaks the tightest target as a gap between tokens, but TPOT is a mean: every k-th step may carry a cell when
 * the others make up for it. A first prefill that is about to miss its TTFT takes its turn at once.
 */
function mayOverrun(snapshot: BatchingSnapshot, first: PrefillDemand, times: StepTimes, settings: Settings): boolean {
  if (!times.isTarget) return true
  const cellMs = nextCellMs(first, settings.costModel)
  const spareMs = times.limitMs - times.decodeMs
  const spacing = spareMs > 0 ? Math.min(settings.maxCellSpacing, Math.ceil(cellMs / spareMs)) : settings.maxCellSpacing
  return isSpacedTurn(snapshot.decodes[0]?.contextTokens ?? 0, spacing) || isUrgent(first, times.decodeMs, settings.costModel)
}

function plan(snapshot: BatchingSnapshot, settings: Settings): BatchPlan {
  const { decodes } = snapshot
  const ledger = new GrantLedger(snapshot, decodeTokens(decodes))
  const times = stepTimes(decodes, settings)
  let stepMs = times.decodeMs
  const fits = (prefill: PrefillDemand, cellMs: number): boolean => {
    const isWithin = decodes.length === 0 || stepMs + cellMs <= times.limitMs
    if (!isWithin && (ledger.numCells > 0 || !mayOverrun(snapshot, prefill, times, settings))) return ledger.closeAtUsed()
    stepMs += cellMs
    return true
  }
  for (const prefill of serviceOrder(snapshot)) if (!grantCells(ledger, prefill, settings.costModel, (cellMs) => fits(prefill, cellMs))) break
  return ledger.plan(decodes.length > 0)
}

/** Stall-free batching: as many cells as the tightest TPOT target leaves time for, first come first served. */
export function sarathi(options: SarathiOptions): BatchingPolicy {
  const settings: Settings = { safetyRatio: DEFAULT_SAFETY_RATIO, defaultTbtMs: null, defaultTbtFactor: 4, maxCellSpacing: 16, ...options }
  return (snapshot) => plan(snapshot, { ...settings, costModel: { ...settings.costModel, correctionRatio: snapshot.correctionRatio } })
}
