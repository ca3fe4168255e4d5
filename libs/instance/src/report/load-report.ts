// The load an instance tells routers about.
import type { BlockPool } from '@rubato/kv'
import type { StepPlanner } from '../batch/step-planner.ts'
import type { RunningSet } from '../batch/running-set.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { LoadMessage } from '../messages.ts'
import type { WaitingQueue } from '../request/waiting-queue.ts'

export interface LoadSources {
  readonly config: InstanceConfig
  readonly pool: BlockPool
  readonly waiting: WaitingQueue
  readonly running: RunningSet
  readonly planner: StepPlanner
}

/** O(waiting requests): made a few times per second, not per step. */
export function loadReport(sources: LoadSources, state: { readonly isDraining: boolean; readonly lastStepMs: number }): LoadMessage {
  const { config, pool, waiting, running, planner } = sources
  return {
    kind: 'load',
    instanceId: config.instanceId,
    incarnation: config.incarnation,
    address: config.address,
    modelFingerprint: config.shape.modelFingerprint,
    maxModelLen: config.shape.maxModelLen,
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
  }
}

/** Tokens that cells still have to compute, prefix hits of waiting requests not deducted. */
function pendingPrefillTokens(waiting: WaitingQueue, running: RunningSet): number {
  let tokens = 0
  for (const request of waiting) tokens += request.promptLen
  for (const { state, promptLen, lead } of running.prompting) if (state === 'prompt') tokens += promptLen - lead!.slot!.kvTokens
  for (const sequence of running.replaying) if (sequence.state === 'replaying') tokens += sequence.settledKvTokens - sequence.slot!.kvTokens
  return tokens
}
