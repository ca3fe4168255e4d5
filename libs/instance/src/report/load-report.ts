// The load an instance tells routers about.
import { blocksFor } from '@rubato/kv'
import type { BlockPool } from '@rubato/kv'
import { decodeHeadroomBlocks, freenessBlocks } from '@rubato/policy'
import type { StepClock } from '../batch/step-clock.ts'
import type { StepPlanner } from '../batch/step-planner.ts'
import type { RunningSet } from '../batch/running-set.ts'
import type { HandOffDestination } from '../hand-off/destination.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { InstanceRole, LoadMessage } from '../messages.ts'
import type { InstanceRequest } from '../request/request.ts'
import type { Migrations } from '../migration/migrations.ts'
import type { WaitingQueue } from '../request/waiting-queue.ts'
import type { Speculation } from '../speculation/speculation.ts'

export interface LoadSources {
  readonly config: InstanceConfig
  readonly pool: BlockPool
  readonly waiting: WaitingQueue
  readonly running: RunningSet
  readonly planner: StepPlanner
  readonly clock: StepClock
  readonly destination: HandOffDestination
  readonly migrations: Migrations
  readonly speculation: Speculation | null
}

export interface LoadState {
  readonly role: InstanceRole
  readonly isDraining: boolean
  readonly lastStepMs: number
}

/** O(waiting requests + running sequences): made a few times per second, not per step. */
export function loadReport(sources: LoadSources, state: LoadState): LoadMessage {
  const { config, pool, waiting, running, planner, clock, destination, speculation } = sources
  const { shape } = config
  return {
    kind: 'load',
    instanceId: config.instanceId,
    incarnation: config.incarnation,
    address: config.address,
    role: state.role,
    kvAddress: config.kvShipping?.kvAddress ?? null,
    modelFingerprint: shape.modelFingerprint,
    maxModelLen: shape.maxModelLen,
    draining: state.isDraining,
    numRunning: running.numSequences,
    numWaiting: waiting.size,
    pendingPrefillTokens: pendingPrefillTokens(waiting, running),
    freeBlocks: pool.freeBlocks,
    cachedBlocks: pool.cachedBlocks,
    totalBlocks: pool.numBlocks,
    preemptionsTotal: planner.preemptionsTotal,
    prefixQueryTokensTotal: planner.prefixQueryTokensTotal,
    prefixHitTokensTotal: planner.prefixHitTokensTotal,
    lastStepMs: state.lastStepMs,
    contextTokens: running.contextTokens,
    freenessBlocks: freenessBlocks({
      totalBlocks: pool.numBlocks,
      usedBlocks: pool.numBlocks - pool.availableBlocks,
      headOfLineBlocks: promptBlocks(waiting.head ?? destination.firstWaiting, shape.blockSize),
      numRunning: running.numSequences,
      numHighPriority: running.admitted.filter(({ message, state }) => message.priority < 0 && (state === 'prompt' || state === 'running')).length,
      headroomBlocks: decodeHeadroomBlocks(clock.model, { totalBlocks: pool.numBlocks, blockSize: shape.blockSize }),
    }),
    blockSize: shape.blockSize,
    blockBytes: shape.blockBytes,
    cellTokens: shape.cellTokens,
    costModel: clock.model,
    pullBytesPerSec: destination.bytesPerSec,
    migrations: sources.migrations.counts(),
    guards: true,
    ...(speculation === null ? {} : { speculation: speculation.load() }),
  }
}

/** Blocks that the request's admission takes, prefix hits not deducted. */
function promptBlocks(request: InstanceRequest | null, blockSize: number): number {
  if (request === null) return 0
  const shared = Math.floor(request.promptLen / blockSize)
  return request.live.reduce((sum, { settledKvTokens }) => sum + blocksFor(settledKvTokens, blockSize) - shared, shared)
}

/** Tokens that cells still have to compute, prefix hits of waiting requests not deducted. */
function pendingPrefillTokens(waiting: WaitingQueue, running: RunningSet): number {
  let tokens = 0
  for (const request of waiting) tokens += request.promptLen
  for (const { state, promptLen, lead } of running.prompting) if (state === 'prompt') tokens += promptLen - lead!.slot!.kvTokens
  for (const sequence of running.replaying) if (sequence.state === 'replaying') tokens += sequence.settledKvTokens - sequence.slot!.kvTokens
  return tokens
}
