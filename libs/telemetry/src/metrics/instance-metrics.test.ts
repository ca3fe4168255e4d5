import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idleLoad } from '@rubato/testing'
import { INSTANCE_METRIC_NAMES, renderInstanceMetrics } from './instance-metrics.ts'
import type { InstanceMetricsExtra } from './instance-metrics.ts'

const NAMES = `
rubato_instance_info rubato_instance_incarnation rubato_instance_draining rubato_instance_sequences rubato_instance_pending_prefill_tokens
rubato_instance_context_tokens rubato_instance_kv_blocks rubato_instance_freeness_blocks rubato_instance_last_step_seconds
rubato_instance_preemptions_total rubato_instance_prefix_query_tokens_total rubato_instance_prefix_hit_tokens_total
rubato_instance_kv_pull_bytes_per_second rubato_instance_kv_transfers_total rubato_instance_kv_transferred_bytes_total
rubato_instance_speculation rubato_instance_draft_model rubato_instance_drafts_total rubato_instance_draft_tokens_total rubato_instance_accepted_draft_tokens_total
rubato_instance_draft_seconds_total rubato_instance_decode_steps_total rubato_instance_acceptance_calibration_ratio
rubato_instance_speculators rubato_instance_speculator_answers_total rubato_instance_speculator_failures_total rubato_instance_speculator_wait_seconds_total
rubato_instance_speculator_round_trip_seconds_total
rubato_instance_trace_spans_total`.trim().split(/\s+/)

const EXTRA: InstanceMetricsExtra = {
  modelName: 'tiny', instanceName: 'd1', spans: { exported: 5, dropped: 1, failed: 2, waiting: 9 },
  kv: { pulled: { numDone: 3, numFailed: 1, bytes: 4096 }, served: { numDone: 0, numFailed: 0, bytes: 0 } },
}

function samples(text: string): Map<string, string> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => {
    const match = /^([a-z_]+\{[^{}]*\}) (\S+)$/.exec(line)
    assert.ok(match, `not a sample: ${line}`)
    return [match[1]!, match[2]!]
  }))
}

test('metric names are an API: changing one breaks dashboards', () => {
  assert.deepEqual(INSTANCE_METRIC_NAMES, NAMES)
  const typed = renderInstanceMetrics(idleLoad('d1@1'), EXTRA).match(/^# TYPE (\S+) /gm)!.map((line) => line.split(' ')[2])
  assert.deepEqual(typed, NAMES)
})

test('a load report is a reading, every sample names model and instance', () => {
  const load = idleLoad('d1@1', { role: 'decode', draining: true, numRunning: 2, freeBlocks: 20, cachedBlocks: 30, freenessBlocks: Infinity, lastStepMs: 12, pullBytesPerSec: 1e9 })
  const found = samples(renderInstanceMetrics(load, EXTRA))
  const who = 'model_name="tiny",instance_name="d1"'
  for (const [sample, value] of Object.entries({
    [`rubato_instance_info{${who},role="decode"}`]: '1',
    [`rubato_instance_draining{${who}}`]: '1',
    [`rubato_instance_sequences{${who},state="running"}`]: '2',
    [`rubato_instance_kv_blocks{${who},state="used"}`]: '50',
    [`rubato_instance_freeness_blocks{${who}}`]: '+Inf',
    [`rubato_instance_last_step_seconds{${who}}`]: '0.012',
    [`rubato_instance_kv_pull_bytes_per_second{${who}}`]: '1000000000',
    [`rubato_instance_kv_transfers_total{${who},direction="pulled",outcome="failed"}`]: '1',
    [`rubato_instance_kv_transferred_bytes_total{${who},direction="pulled"}`]: '4096',
    [`rubato_instance_trace_spans_total{${who},outcome="dropped"}`]: '1',
  })) assert.equal(found.get(sample), value, sample)
  assert.ok([...found.keys()].every((sample) => sample.includes(who)))
})

test('what is not known has no sample', () => {
  assert.equal(samples(renderInstanceMetrics(null, EXTRA)).size, 0)
  const found = [...samples(renderInstanceMetrics(idleLoad('d1@1'), { ...EXTRA, kv: null, spans: null })).keys()]
  assert.ok(found.every((sample) => !/kv_transfer|kv_pull|spans/.test(sample)))
})

test('an instance that asks speculators says how they answered', () => {
  const remote = { numSpeculators: 2, numTrusted: 1, asksTotal: 9, answersTotal: 5, lateTotal: 3, failedTotal: 1, garbledTotal: 0, lastProblem: null, waitMsTotal: 30, roundTripMsTotal: 20 }
  const speculation = {
    proposer: 'draft', depth: 4, width: 1, canDraft: false, draftProblem: null, draftsTotal: 0, draftTokensTotal: 0, acceptedTokensTotal: 0, acceptedByPosition: [], neededTokensTotal: 0, draftMsTotal: 0,
    stepsTotal: 0, plainStepsTotal: 0, calibrationRatios: [], remote,
  }
  const found = samples(renderInstanceMetrics(idleLoad('d1@1', { speculation }), EXTRA))
  const who = 'model_name="tiny",instance_name="d1"'
  for (const [sample, value] of Object.entries({
    [`rubato_instance_speculators{${who},state="known"}`]: '2',
    [`rubato_instance_speculators{${who},state="trusted"}`]: '1',
    [`rubato_instance_speculator_answers_total{${who}}`]: '5',
    [`rubato_instance_speculator_failures_total{${who},reason="late"}`]: '3',
    [`rubato_instance_speculator_wait_seconds_total{${who}}`]: '0.03',
  })) assert.equal(found.get(sample), value, sample)
})

test('a label keeps its quotes and line breaks inside one line', () => {
  const text = renderInstanceMetrics(idleLoad('d1@1'), { ...EXTRA, modelName: 'a"b\\c\nd' })
  assert.ok(text.includes('rubato_instance_incarnation{model_name="a\\"b\\\\c\\nd",instance_name="d1"} 1'))
})
