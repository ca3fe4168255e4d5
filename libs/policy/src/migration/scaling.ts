// Whether the cluster should grow or shrink: Llumnix (OSDI'24) §4.4.3. Advice only; nobody here starts or stops anything.
//
// 1. The average freeness has to be outside the range without a break for a whole dwell time.
// 2. Shrinking must leave the average inside the range: what the instance runs goes to the others.
import type { MigrationInstance } from './snapshot.ts'

export interface ScalingOptions {
  /** @default 10 */
  readonly lowBlocks?: number
  /** @default 60 */
  readonly highBlocks?: number
  /** @default 10000 */
  readonly growAfterMs?: number
  /** @default 60000 */
  readonly shrinkAfterMs?: number
}

export interface ScalingState {
  /** Since when the average is outside the range, and on which side; null: it is inside. */
  readonly outside: Outside | null
}

interface Outside {
  readonly side: 'low' | 'high'
  readonly sinceMs: number
}

export type ScalingAdvice =
  | { readonly kind: 'hold' }
  | { readonly kind: 'grow' }
  /** Drain this one, which has the fewest running requests. */
  | { readonly kind: 'shrink'; readonly instanceId: string }

export const INSIDE: ScalingState = { outside: null }

/** One look at the instances of one model. */
export function adviseScaling(state: ScalingState, instances: readonly MigrationInstance[], nowMs: number, options: ScalingOptions = {}): { readonly state: ScalingState; readonly advice: ScalingAdvice } {
  const { lowBlocks = 10, highBlocks = 60, growAfterMs = 10_000, shrinkAfterMs = 60_000 } = options
  const serving = instances.filter(({ isDraining }) => !isDraining)
  if (serving.length === 0) return { state: INSIDE, advice: { kind: 'hold' } }
  const average = averageFreeness(serving)
  const side = average < lowBlocks ? 'low' : average > highBlocks ? 'high' : null
  if (side === null) return { state: INSIDE, advice: { kind: 'hold' } }
  const outside: Outside = state.outside?.side === side ? state.outside : { side, sinceMs: nowMs }
  const dwellMs = nowMs - outside.sinceMs
  if (side === 'low') return { state: { outside }, advice: { kind: dwellMs >= growAfterMs ? 'grow' : 'hold' } }
  const leaver = dwellMs >= shrinkAfterMs ? leaverOf(serving, lowBlocks) : null
  return { state: { outside }, advice: leaver === null ? { kind: 'hold' } : { kind: 'shrink', instanceId: leaver.instanceId } }
}

export function averageFreeness(instances: readonly MigrationInstance[]): number {
  return instances.reduce((sum, { freenessBlocks }) => sum + freenessBlocks, 0) / Math.max(1, instances.length)
}

/** The one with the fewest running requests, if the others can take them. */
function leaverOf(serving: readonly MigrationInstance[], lowBlocks: number): MigrationInstance | null {
  if (serving.length < 2) return null
  const [leaver] = [...serving].sort((a, b) => a.numRunning - b.numRunning || b.freenessBlocks - a.freenessBlocks || (a.instanceId < b.instanceId ? -1 : 1))
  const others = serving.filter((instance) => instance !== leaver)
  const free = others.reduce((sum, { freenessBlocks, numRunning }) => sum + freenessBlocks * Math.max(1, numRunning), 0) - leaver!.contextBlocks
  const running = others.reduce((sum, { numRunning }) => sum + numRunning, leaver!.numRunning)
  return free / Math.max(others.length, running) >= lowBlocks ? leaver! : null
}
