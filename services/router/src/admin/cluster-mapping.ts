// Views of the cluster as messages of rubato.v1.Cluster.
import type { InstanceRole } from '@rubato/instance'
import type { ClusterEvent, Instance, Load, Role } from '@rubato/rpc'
import type { InstanceView } from '../actor/state/instances.ts'
import type { ClusterChange, InstanceChange } from './cluster-tracker.ts'
import { nameOf } from './instance-names.ts'

const ROLES = { prefill: 'ROLE_PREFILL', decode: 'ROLE_DECODE', mixed: 'ROLE_MIXED' } as const satisfies Record<InstanceRole, Role>

const EVENT_KINDS = {
  joined: 'CLUSTER_EVENT_KIND_JOINED',
  gone: 'CLUSTER_EVENT_KIND_GONE',
  fenced: 'CLUSTER_EVENT_KIND_FENCED',
  draining: 'CLUSTER_EVENT_KIND_DRAINING',
  undrained: 'CLUSTER_EVENT_KIND_UNDRAINED',
  'role-changed': 'CLUSTER_EVENT_KIND_ROLE_CHANGED',
  'engine-restarted': 'CLUSTER_EVENT_KIND_ENGINE_RESTARTED',
} as const satisfies Record<InstanceChange, ClusterEvent['kind']>

/** null for what is no role: unspecified, or a number of a later version. */
export function roleOf(role: Role): InstanceRole | null {
  return (Object.keys(ROLES) as InstanceRole[]).find((name) => ROLES[name] === role) ?? null
}

export function toInstance(view: InstanceView, nowMs: number): Instance {
  const { instanceId, incarnation, role, draining, numRequests, load } = view
  return {
    instanceId, incarnation, draining, numRequests,
    name: nameOf(instanceId),
    role: ROLES[role],
    silentMs: silentMs(view, nowMs),
    modelFingerprint: load?.modelFingerprint ?? '',
    ...(load === null || load.kvAddress === null ? {} : { kvAddress: load.kvAddress }),
  }
}

/** null: it has not reported yet. */
export function toLoad(view: InstanceView, nowMs: number): Load | null {
  const { instanceId, load } = view
  if (load === null) return null
  const { numRunning, numWaiting, pendingPrefillTokens, contextTokens, freeBlocks, cachedBlocks, totalBlocks, blockSize, freenessBlocks } = load
  const { lastStepMs, preemptionsTotal, prefixQueryTokensTotal, prefixHitTokensTotal, maxModelLen, pullBytesPerSec } = load
  return {
    instanceId, numRunning, numWaiting, pendingPrefillTokens, contextTokens, freeBlocks, cachedBlocks, totalBlocks, blockSize, freenessBlocks,
    lastStepMs, preemptionsTotal, prefixQueryTokensTotal, prefixHitTokensTotal, maxModelLen,
    silentMs: silentMs(view, nowMs),
    ...(pullBytesPerSec === null ? {} : { pullBytesPerSec }),
  }
}

export function toEvent(change: ClusterChange, nowMs: number): ClusterEvent {
  if (change.kind === 'recovered') return { kind: 'CLUSTER_EVENT_KIND_RECOVERED', numRecoveries: change.numRecoveries }
  return { kind: EVENT_KINDS[change.kind], instance: toInstance(change.instance, nowMs) }
}

/** The instances there are when a watch begins. */
export function toInitialEvent(view: InstanceView, nowMs: number): ClusterEvent {
  return { kind: 'CLUSTER_EVENT_KIND_JOINED', instance: toInstance(view, nowMs), initial: true }
}

function silentMs(view: InstanceView, nowMs: number): number {
  return Math.max(0, nowMs - view.lastHeardMs)
}
