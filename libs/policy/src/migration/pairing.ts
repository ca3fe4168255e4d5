// Who gives requests to whom: Llumnix (OSDI'24) §4.4.3. Instances below one threshold of freeness give, those above another one
// take, lowest with highest; draining ones always give.
//
// 1. A pair that stands is kept within wider thresholds (hysteresis), so that a load at a threshold does not flap.
// 2. A move must narrow the gap and leave it positive (the llumnix code's `balanced` guard): so no request comes back. Instances that
//    drain, or whose first waiting request does not fit, are exempt: they gain by emptiness itself. Their destination must stay free.
// 3. Whoever preempted lately takes nothing.
// 4. An instance is in one pair at most.
import type { MigrationInstance, MigrationPair, MigrationReason } from './snapshot.ts'

export interface PairingOptions {
  /** Sources are below it. @default 10 */
  readonly lowBlocks?: number
  /** Destinations are above it. @default 30 */
  readonly highBlocks?: number
  /** By how much a standing pair may be on the wrong side. @default 5 */
  readonly hysteresisBlocks?: number
  /** How long a preemption counts. @default 10000 */
  readonly preemptionMemoryMs?: number
}

interface Rules {
  readonly lowBlocks: number
  readonly highBlocks: number
  readonly hysteresisBlocks: number
  readonly preemptionMemoryMs: number
}

const DEFAULTS: Rules = { lowBlocks: 10, highBlocks: 30, hysteresisBlocks: 5, preemptionMemoryMs: 10_000 }

/** The pairs of this round. `standing` are those of the round before. O(instances²). */
export function pairInstances(instances: readonly MigrationInstance[], standing: readonly MigrationPair[], options: PairingOptions = {}): readonly MigrationPair[] {
  const rules = { ...DEFAULTS, ...options }
  const isStanding = (sourceId: string, destinationId: string): boolean => standing.some((pair) => pair.sourceId === sourceId && pair.destinationId === destinationId)
  const sources = instances.flatMap((instance) => sourcesOf(instance, rules)).sort(bySourceNeed)
  const isSource = new Set(sources.filter(({ isStanding: only }) => !only).map(({ instance }) => instance.instanceId))
  const taken = new Set<string>()
  const pairs: MigrationPair[] = []
  for (const { instance: source, reason, isStanding: onlyStanding } of sources) {
    if (taken.has(source.instanceId)) continue
    const candidates = instances
      .filter((other) => !taken.has(other.instanceId) && !isSource.has(other.instanceId))
      .filter((other) => isStanding(source.instanceId, other.instanceId) || !onlyStanding)
      .filter((other) => isDestination(source, other, isStanding(source.instanceId, other.instanceId) ? rules.hysteresisBlocks : 0, rules) && gains({ source, destination: other, reason }, rules))
    const [best] = candidates.sort((a, b) => Number(isStanding(source.instanceId, b.instanceId)) - Number(isStanding(source.instanceId, a.instanceId)) || byRoom(a, b))
    if (best === undefined) continue
    taken.add(source.instanceId).add(best.instanceId)
    pairs.push({ sourceId: source.instanceId, destinationId: best.instanceId, reason })
  }
  return pairs
}

interface Source {
  readonly instance: MigrationInstance
  readonly reason: MigrationReason
  /** It gives within a standing pair alone. */
  readonly isStanding: boolean
}

function sourcesOf(instance: MigrationInstance, { lowBlocks, hysteresisBlocks, preemptionMemoryMs }: Rules): readonly Source[] {
  const { canShip, isDraining, freenessBlocks, numRunning, numWaiting, preemptedAgoMs } = instance
  if (!canShip || numRunning === 0) return []
  if (isDraining) return [{ instance, reason: 'drain', isStanding: false }]
  if (numWaiting > 0 && freenessBlocks < 0) return [{ instance, reason: 'admit', isStanding: false }]
  const hasPreempted = preemptedAgoMs !== null && preemptedAgoMs < preemptionMemoryMs
  if (freenessBlocks < lowBlocks || (hasPreempted && freenessBlocks < lowBlocks + hysteresisBlocks)) return [{ instance, reason: 'balance', isStanding: false }]
  return freenessBlocks < lowBlocks + hysteresisBlocks ? [{ instance, reason: 'balance', isStanding: true }] : []
}

function isDestination(source: MigrationInstance, other: MigrationInstance, slackBlocks: number, { highBlocks, preemptionMemoryMs }: Rules): boolean {
  if (other === source || other.isDraining || !other.canShip || other.modelFingerprint !== source.modelFingerprint) return false
  if (other.preemptedAgoMs !== null && other.preemptedAgoMs < preemptionMemoryMs) return false
  return other.freenessBlocks > highBlocks - slackBlocks
}

/** What the move of a request of average size does to both ends. */
function gains({ source, destination, reason }: { readonly source: MigrationInstance; readonly destination: MigrationInstance; readonly reason: MigrationReason }, { lowBlocks }: Rules): boolean {
  if (reason === 'balance' && isGivingTokensToPrompts(source, destination)) return false
  const movedBlocks = Math.max(1, Math.ceil(source.contextBlocks / Math.max(1, source.numRunning)))
  const destinationAfter = (freeBlocks(destination) - movedBlocks) / (destination.numRunning + 1)
  if (destinationAfter < lowBlocks) return false
  if (reason !== 'balance') return true
  const sourceAfter = (freeBlocks(source) + movedBlocks) / Math.max(1, source.numRunning - 1)
  const gapAfter = destinationAfter - sourceAfter
  return gapAfter >= 0 && gapAfter < destination.freenessBlocks - source.freenessBlocks
}

/** Whoever decodes on an instance meant for prompts delays every prompt there: only one that had to preempt has reason enough. */
function isGivingTokensToPrompts(source: MigrationInstance, destination: MigrationInstance): boolean {
  return destination.role === 'prefill' && source.role !== 'prefill' && source.preemptedAgoMs === null
}

/** M - sum V. */
function freeBlocks({ freenessBlocks, numRunning }: MigrationInstance): number {
  return freenessBlocks * Math.max(1, numRunning)
}

const NEED: Readonly<Record<MigrationReason, number>> = { drain: 0, admit: 1, balance: 2 }

function bySourceNeed(a: Source, b: Source): number {
  return NEED[a.reason] - NEED[b.reason] || Number(a.isStanding) - Number(b.isStanding) || a.instance.freenessBlocks - b.instance.freenessBlocks || byId(a.instance, b.instance)
}

/** Instances meant for prompts take tokens only where nobody else can. */
function byRoom(a: MigrationInstance, b: MigrationInstance): number {
  return Number(a.role === 'prefill') - Number(b.role === 'prefill') || b.freenessBlocks - a.freenessBlocks || byId(a, b)
}

function byId(a: MigrationInstance, b: MigrationInstance): number {
  return a.instanceId < b.instanceId ? -1 : 1
}
