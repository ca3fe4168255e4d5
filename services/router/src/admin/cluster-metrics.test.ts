import assert from 'node:assert/strict'
import { test } from 'node:test'
import { METRIC_NAMES } from '../metrics.ts'
import { CLUSTER_METRIC_NAMES, renderClusterMetrics } from './cluster-metrics.ts'
import { viewOf } from './fixtures/scripted-cluster.ts'

const NAMES = `
rubato_cluster_instances rubato_cluster_instance_requests rubato_cluster_instance_freeness_blocks rubato_cluster_instance_running
rubato_cluster_instance_waiting rubato_cluster_instance_pending_prefill_tokens rubato_cluster_instance_kv_usage_ratio`.trim().split(/\s+/)

test('metric names are an API: changing one breaks dashboards', () => {
  assert.deepEqual(CLUSTER_METRIC_NAMES, NAMES)
  const typed = renderClusterMetrics([]).match(/^# TYPE (\S+) /gm)!.map((line) => line.split(' ')[2])
  assert.deepEqual(typed, NAMES)
  assert.deepEqual(NAMES.filter((name) => METRIC_NAMES.includes(name)), [])
})

test('instances are counted by role and state, each with its own load', () => {
  const lines = renderClusterMetrics([
    viewOf('p1@1', { role: 'prefill', pendingPrefillTokens: 512 }), viewOf('d1@1', { role: 'decode', freeBlocks: 20, cachedBlocks: 5, freenessBlocks: 7 }, { numRequests: 3 }),
    viewOf('d2@1', { role: 'decode', draining: true }), viewOf('m1@1', {}, { load: null }),
  ]).split('\n')
  for (const line of [
    'rubato_cluster_instances{role="decode",state="serving"} 1', 'rubato_cluster_instances{role="decode",state="draining"} 1',
    'rubato_cluster_instances{role="prefill",state="serving"} 1', 'rubato_cluster_instances{role="mixed",state="serving"} 1',
    'rubato_cluster_instance_requests{instance_name="d1",role="decode"} 3', 'rubato_cluster_instance_freeness_blocks{instance_name="d1",role="decode"} 7',
    'rubato_cluster_instance_kv_usage_ratio{instance_name="d1",role="decode"} 0.75', 'rubato_cluster_instance_pending_prefill_tokens{instance_name="p1",role="prefill"} 512',
  ]) assert.ok(lines.includes(line), line)
  assert.ok(!lines.some((line) => line.includes('m1')))
})

test('two lives of one name give one series, the one heard last', () => {
  const text = renderClusterMetrics([viewOf('d1@2', { numRunning: 2 }, { lastHeardMs: 20 }), viewOf('d1@1', { numRunning: 1 }, { lastHeardMs: 10 })])
  assert.deepEqual(text.match(/^rubato_cluster_instance_running.*$/gm), ['rubato_cluster_instance_running{instance_name="d1",role="mixed"} 2'])
})
