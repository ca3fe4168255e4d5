// Measures what steps cost on this machine, by real steps of scratch sequences.
import { fitCostModel } from '@rubato/policy'
import type { CostPoint, StepCostModel } from '@rubato/policy'
import type { EngineProgress } from '../options.ts'
import type { Engine, StepResult } from '../step.ts'
import { profilePlan } from './profile-plan.ts'
import type { ProfilePlanPoint } from './profile-plan.ts'
import { ScratchArena, scratchTree } from './scratch-arena.ts'
import { ScratchBatch } from './scratch-batch.ts'

/** Timed steps per point; a warm-up goes before them. */
const REPEATS = 5
/** Depth of the deepest scratch tree, with the token that is always drawn: what a sequence gains per step at most. */
const MAX_STEP_TOKENS = 8
/** What each sequence of a measured point may gain. */
export const ROOM_TOKENS = (REPEATS + 1) * MAX_STEP_TOKENS
/** Measured whatever the budget: a decode and a cell. */
const MIN_POINTS = 2
const STAGE = 'measuring step times'

export interface ProfileEngineOptions {
  /** No point is begun past this, except the first two. */
  readonly budgetMs: number
  /** Largest batch that will be served. */
  readonly maxNumSeqs: number
  /** Milliseconds of a monotonic clock: what the budget is counted in. */
  readonly now: () => number
  readonly onProgress?: EngineProgress
  readonly signal?: AbortSignal
}

/**
 * Times decodes, verifies and cells on an engine that serves nobody yet: medians of a few steps, most informative points
 * first, until the budget is spent. Nothing stays admitted. Throws the signal's reason when aborted.
 */
export async function profileEngine(engine: Engine, options: ProfileEngineOptions): Promise<CostPoint[]> {
  const arena = new ScratchArena(engine)
  const startMs = options.now()
  const plan = profilePlan(engine.shape, options.maxNumSeqs, ROOM_TOKENS)
  const points: CostPoint[] = []
  for (const [index, point] of plan.entries()) {
    const isOver = (): boolean => options.now() - startMs >= options.budgetMs
    if (points.length >= MIN_POINTS && isOver()) break
    options.onProgress?.(STAGE, Math.max(index / plan.length, Math.min(1, (options.now() - startMs) / options.budgetMs)))
    points.push({ ...point, ms: await measure(arena, point, () => isOver() && points.length >= MIN_POINTS, options.signal) })
  }
  options.onProgress?.(STAGE, 1)
  return points
}

/** The cost model of measured points. */
export function profileModel(points: readonly CostPoint[]): StepCostModel {
  return fitCostModel(points)
}

async function measure(arena: ScratchArena, point: ProfilePlanPoint, isOver: () => boolean, signal: AbortSignal | undefined): Promise<number> {
  signal?.throwIfAborted()
  const isCell = point.kind === 'cell'
  const contexts = isCell ? [point.contextTokens + point.cellTokens] : Array.from({ length: point.batch }, () => point.contextTokens)
  const batch = await ScratchBatch.open(arena, { contexts, roomTokens: isCell ? 0 : ROOM_TOKENS })
  const tree = point.kind === 'verify' ? scratchTree(point.nodes, arena.engine.shape.vocabSize) : null
  const step = (): Promise<StepResult> => (isCell ? batch.cell(point.contextTokens, point.cellTokens) : batch.decode(tree))
  const times: number[] = []
  await step()
  while (times.length < REPEATS && !(times.length > 0 && isOver()) && signal?.aborted !== true) times.push((await step()).stepMs)
  await batch.close()
  signal?.throwIfAborted()
  return medianOf(times)
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
