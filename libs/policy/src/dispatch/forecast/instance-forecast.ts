// What one instance would make of the request: as the place of its prompt, of its decoding, or of both. One record per
// instance and decision; options are combined from them.
//
// Prompts are served first come first served in cells that share steps with decodes (stall-free batching): a cell costs its own
// time plus its share of a decode step, and a gap between tokens grows by the cells in its step.
import { predictDecodeMs } from '../../cost-model/model.ts'
import type { StepCostModel } from '../../cost-model/model.ts'
import { knownTokens, usableHitTokens } from '../selection/metrics.ts'
import type { Duty } from '../selection/metrics.ts'
import type { DispatchInstance, DispatchRequest } from '../snapshot.ts'
import { predictLastCellMs, predictMeanCellMs, predictPendingMs, predictPromptMs } from './prompt-time.ts'

/** Output lengths are unknown: about the mean of chat traces, or the request's own limit. */
const EXPECTED_OUTPUT_TOKENS = 256
/** Habits of the stall-free batching policy: without a target, cells fill a step up to this many times the plain decode step. */
const STEP_FACTOR = 4
/** With a target: up to this share of it, and at least one cell in MAX_CELL_SPACING steps. */
const TARGET_RATIO = 0.9
const MAX_CELL_SPACING = 16

/** Share of a first-token target that a prompt may take before its cells stop waiting for room. */
const URGENT_RATIO = 0.8
/** Keeps ratios finite. */
const MIN_TARGET_MS = 0.001

export interface InstanceForecast {
  readonly instance: DispatchInstance
  readonly home: Duty
  /** Compute of the prompt's cells alone. */
  readonly promptMs: number
  readonly lastCellMs: number
  /** Until the first token when the prompt runs here: pending prompts, own cells, and the decodes they share steps with. */
  readonly ttftMs: number
  /** Mean gap between tokens when it decodes here, pending prompts included. */
  readonly tpotMs: number
  /** Relative overshoot, summed over the sequences that decode here, that the request adds to them by each duty. */
  readonly promptHarm: number
  readonly decodeHarm: number
  readonly bothHarm: number
}

/** Tokens that the request is expected to emit per choice. */
export function expectedOutputTokens(request: DispatchRequest): number {
  return Math.max(1, Math.min(request.maxNewTokens, EXPECTED_OUTPUT_TOKENS))
}

/** By how much a time exceeds its target, as a share of the target. */
export function overshootRatio(ms: number, targetMs: number): number {
  return Math.max(0, ms / Math.max(targetMs, MIN_TARGET_MS) - 1)
}

/** What sequences without a known target are held to: Sarathi-Serve's strict rule, five decode steps of a batch of 32. */
function defaultTpotMs(model: StepCostModel, contextTokens: number): number {
  return 5 * predictDecodeMs(model, { batch: 32, contextTokensSum: 32 * contextTokens, nodes: 0 })
}

/** What bounds the cells in a gap between tokens. */
interface Gap {
  readonly cellMs: number
  /** Target of the request; others on the instance are taken to have the like. */
  readonly tpotMs: number | null
  readonly outputTokens: number
}

/** Time that a step has for cells, on average: below one cell's time they are spaced over several steps. */
function cellRoomMs(stepMs: number, { cellMs, tpotMs }: Gap): number {
  if (tpotMs === null) return Math.max(cellMs, (STEP_FACTOR - 1) * stepMs)
  return Math.max(TARGET_RATIO * tpotMs - stepMs, cellMs / MAX_CELL_SPACING)
}

/** Mean gap when prompt cells of `cellsMs` run beside the expected output. */
function gapMs(stepMs: number, cellsMs: number, gap: Gap): number {
  return stepMs + Math.min(cellRoomMs(stepMs, gap), cellsMs / gap.outputTokens)
}

/** What the sequences there go through, now and with the request. */
interface Neighbours {
  readonly numSequences: number
  readonly stepMs: number
  /** With the request in the batch. */
  readonly fullStepMs: number
  /** Cells in front of the request, and its own. */
  readonly queueMs: number
  readonly promptMs: number
  readonly gap: Gap
  readonly targetMs: number
}

const NO_HARM = { promptHarm: 0, decodeHarm: 0, bothHarm: 0 }

function harmBy({ numSequences, stepMs, fullStepMs, queueMs, promptMs, gap, targetMs }: Neighbours): Pick<InstanceForecast, 'promptHarm' | 'decodeHarm' | 'bothHarm'> {
  if (numSequences === 0) return NO_HARM
  const overshootOf = (decodeMs: number, cellsMs: number): number => numSequences * overshootRatio(gapMs(decodeMs, cellsMs, gap), targetMs)
  const before = overshootOf(stepMs, queueMs)
  return {
    promptHarm: overshootOf(stepMs, queueMs + promptMs) - before,
    decodeHarm: overshootOf(fullStepMs, queueMs) - before,
    bothHarm: overshootOf(fullStepMs, queueMs + promptMs) - before,
  }
}

/**
 * Predicts both duties. `home` is what the instance is there for among the others: on one for prompts, sequences leave after their
 * prompt, so that its cells share steps with no decodes, but one that stays shares every step with as many cells as fit.
 */
export function forecastInstance(request: DispatchRequest, instance: DispatchInstance, model: StepCostModel, home: Duty): InstanceForecast {
  const { cellTokens, pendingPrefillTokens, contextTokens } = instance
  const endTokens = knownTokens(request)
  const work = { hitTokens: usableHitTokens(request, instance), endTokens, cellTokens }
  const promptMs = predictPromptMs(model, work)
  const queueMs = predictPendingMs(model, pendingPrefillTokens, endTokens, cellTokens)
  const gap = { cellMs: predictMeanCellMs(model, endTokens, cellTokens), tpotMs: request.tpotMs, outputTokens: expectedOutputTokens(request) }
  const freeGap = gap.tpotMs === null ? gap : { cellMs: gap.cellMs, tpotMs: null, outputTokens: gap.outputTokens }
  const numSequences = home === 'prompt' ? 0 : instance.numSequences
  const stepMs = predictDecodeMs(model, { batch: numSequences, contextTokensSum: contextTokens, nodes: 0 })
  const fullStepMs = predictDecodeMs(model, {
    batch: instance.numSequences + request.numChoices,
    contextTokensSum: contextTokens + pendingPrefillTokens + request.numChoices * (endTokens + gap.outputTokens / 2),
    nodes: 0,
  })
  // Cells go with as many decode steps as it takes to make room for them.
  const sharedMs = stepMs === 0 || promptMs === 0 ? 0 : ((queueMs + promptMs) / cellRoomMs(stepMs, gap)) * stepMs
  const ttftMs = queueMs + promptMs + sharedMs
  // A prompt about to miss its first-token target takes its turn at once, whatever that does to the gaps.
  const isUrgent = request.ttftMs !== null && ttftMs > URGENT_RATIO * request.ttftMs
  const targetMs = request.tpotMs ?? defaultTpotMs(model, endTokens)
  const { promptHarm, decodeHarm, bothHarm } = harmBy({ numSequences, stepMs, fullStepMs, queueMs, promptMs, gap: isUrgent ? freeGap : gap, targetMs })
  return {
    instance, home, promptMs, ttftMs,
    lastCellMs: predictLastCellMs(model, work),
    tpotMs: home === 'prompt' ? fullStepMs + cellRoomMs(fullStepMs, freeGap) : gapMs(fullStepMs, queueMs, gap),
    promptHarm, decodeHarm, bothHarm,
  }
}
