// What a start-up profile measures, most informative first: a budget may end it after any point.
import type { EngineShape } from '../step.ts'
import { canHold } from './scratch-batch.ts'

/** A point to measure; every sequence of the batch stands behind the same context. */
export type ProfilePlanPoint =
  | { readonly kind: 'decode'; readonly batch: number; readonly contextTokens: number }
  | { readonly kind: 'verify'; readonly batch: number; readonly nodes: number; readonly contextTokens: number }
  | { readonly kind: 'cell'; readonly cellTokens: number; readonly contextTokens: number }

const BATCHES: readonly number[] = [1, 2, 4, 8, 16, 32, 64]
const NEAR_TOKENS = 64
const MID_TOKENS = 512
/** Beyond this a point says little more about a linear model, and takes long to write and run. */
const MAX_TOTAL_CONTEXT_TOKENS = 32_768

type Decode = Extract<ProfilePlanPoint, { kind: 'decode' }>

/** Positions that a point's measurement uses up. `roomTokens`: what each sequence may gain meanwhile. */
export function fitsEngine(point: ProfilePlanPoint, shape: EngineShape, roomTokens: number): boolean {
  if (point.kind === 'cell') return canHold(shape, { contexts: [point.contextTokens + point.cellTokens], roomTokens: 0 })
  if (point.batch * point.contextTokens > MAX_TOTAL_CONTEXT_TOKENS && point.batch > 1) return false
  return canHold(shape, { contexts: Array.from({ length: point.batch }, () => point.contextTokens), roomTokens })
}

/** Points for this engine in order of use, without repeats. */
export function profilePlan(shape: EngineShape, maxNumSeqs: number, roomTokens: number): readonly ProfilePlanPoint[] {
  const { cellTokens, maxModelLen } = shape
  const farTokens = maxModelLen - roomTokens
  const midTokens = Math.min(MID_TOKENS, Math.floor(farTokens / 2))
  const farCell = Math.floor((maxModelLen - cellTokens) / cellTokens) * cellTokens
  const decode = (batch: number, contextTokens: number): Decode => ({ kind: 'decode', batch, contextTokens })
  const verify = (batch: number, nodes: number): ProfilePlanPoint => ({ kind: 'verify', batch, nodes, contextTokens: midTokens })
  const cell = (tokens: number, contextTokens: number): ProfilePlanPoint => ({ kind: 'cell', cellTokens: tokens, contextTokens })
  const large = Math.min(16, maxNumSeqs)
  const points = [
    decode(1, midTokens), cell(cellTokens, 0), decode(large, midTokens), cell(cellTokens / 4, 0), verify(1, 7), decode(large, NEAR_TOKENS),
    cell(cellTokens, Math.min(4 * cellTokens, farCell)), verify(Math.min(4, large), 3), decode(4, midTokens), decode(1, farTokens), cell(cellTokens, farCell),
    verify(Math.min(4, large), 7), decode(32, midTokens), decode(2, midTokens), decode(8, midTokens), verify(1, 3), verify(large, 3), decode(64, midTokens),
    ...BATCHES.flatMap((batch) => [decode(batch, NEAR_TOKENS), decode(batch, farTokens)]),
  ]
  const seen = new Set<string>()
  return points.filter((point) => {
    const key = JSON.stringify(point)
    const isWanted = !seen.has(key) && (point.kind === 'cell' || point.batch <= maxNumSeqs) && fitsEngine(point, shape, roomTokens)
    seen.add(key)
    return isWanted
  })
}
