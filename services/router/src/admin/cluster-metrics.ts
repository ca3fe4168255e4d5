// What a router knows of the cluster, as rubato_cluster_* series for its /metrics. Names are an API: a test holds the list.
// Series are per instance name, so that a restart goes on with the same ones.
import { renderFamilies } from '@rubato/telemetry'
import type { MetricFamily, Sample } from '@rubato/telemetry'
import type { InstanceRole, LoadMessage } from '@rubato/instance'
import type { InstanceView } from '../actor/state/instances.ts'
import { nameOf } from './instance-names.ts'

interface Family {
  readonly name: string
  readonly help: string
  readonly read: (instances: readonly InstanceView[]) => readonly Sample[]
}

const ROLES: readonly InstanceRole[] = ['prefill', 'decode', 'mixed']

function perInstance(pick: (load: LoadMessage, view: InstanceView) => number): Family['read'] {
  return (instances) => instances.flatMap((view) => view.load === null ? [] : [
    { labels: { instance_name: nameOf(view.instanceId), role: view.role }, value: pick(view.load, view) },
  ])
}

function byRole(instances: readonly InstanceView[]): readonly Sample[] {
  return ROLES.flatMap((role) => [false, true].map((draining) => ({
    labels: { role, state: draining ? 'draining' : 'serving' },
    value: instances.filter((view) => view.role === role && view.draining === draining).length,
  })))
}

const FAMILIES: readonly Family[] = [
  { name: 'rubato_cluster_instances', help: 'Instances known to this router, by role and state.', read: byRole },
  { name: 'rubato_cluster_instance_requests', help: 'Requests of this router on the instance.', read: perInstance((_load, view) => view.numRequests) },
  { name: 'rubato_cluster_instance_freeness_blocks', help: 'Decode iterations left before memory runs out, in blocks per running request.', read: perInstance((load) => load.freenessBlocks) },
  { name: 'rubato_cluster_instance_running', help: 'Sequences in execution on the instance.', read: perInstance((load) => load.numRunning) },
  { name: 'rubato_cluster_instance_waiting', help: 'Requests waiting on the instance.', read: perInstance((load) => load.numWaiting) },
  { name: 'rubato_cluster_instance_pending_prefill_tokens', help: 'Prompt tokens still to be computed on the instance.', read: perInstance((load) => load.pendingPrefillTokens) },
  {
    name: 'rubato_cluster_instance_kv_usage_ratio',
    help: 'KV blocks held by live requests, 0 to 1.',
    read: perInstance((load) => load.totalBlocks === 0 ? 0 : 1 - (load.freeBlocks + load.cachedBlocks) / load.totalBlocks),
  },
]

/** Every family that renderClusterMetrics writes, in order. */
export const CLUSTER_METRIC_NAMES: readonly string[] = FAMILIES.map(({ name }) => name)

/** Prometheus text format 0.0.4, to go behind renderMetrics. Of several lives under one name the one heard last counts. */
export function renderClusterMetrics(instances: readonly InstanceView[]): string {
  const byName = new Map<string, InstanceView>()
  for (const view of instances.toSorted((a, b) => a.lastHeardMs - b.lastHeardMs)) byName.set(nameOf(view.instanceId), view)
  const current = [...byName.values()]
  return renderFamilies(FAMILIES.map(({ name, help, read }): MetricFamily => ({ name, type: 'gauge', help, samples: read(current) })))
}
