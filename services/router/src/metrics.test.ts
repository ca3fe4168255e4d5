import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finishOf, Rig } from './actor/fixtures/router-rig.ts'
import { METRIC_NAMES, renderMetrics } from './metrics.ts'

const NAMES = `
rubato_requests_total rubato_requests_running rubato_requests_queued rubato_instances rubato_prompt_tokens_total rubato_generation_tokens_total
rubato_accepted_draft_tokens_total rubato_recoveries_total rubato_migrations_total rubato_duplicate_tokens_total rubato_resends_total
rubato_kv_usage_ratio rubato_ttft_seconds rubato_tpot_seconds rubato_inter_token_seconds rubato_e2e_seconds
vllm:num_requests_running vllm:num_requests_waiting vllm:kv_cache_usage_perc vllm:prefix_cache_queries_total vllm:prefix_cache_hits_total
vllm:prompt_tokens_total vllm:generation_tokens_total vllm:request_success_total vllm:num_preemptions_total vllm:time_to_first_token_seconds
vllm:inter_token_latency_seconds vllm:request_time_per_output_token_seconds vllm:e2e_request_latency_seconds vllm:request_queue_time_seconds
vllm:request_prefill_time_seconds vllm:request_decode_time_seconds vllm:request_prompt_tokens vllm:request_generation_tokens vllm:iteration_tokens_total
vllm:spec_decode_num_drafts_total vllm:spec_decode_num_draft_tokens_total vllm:spec_decode_num_accepted_tokens_total`.trim().split(/\s+/)

test('metric names are an API: changing one breaks dashboards', () => {
  assert.deepEqual(METRIC_NAMES, NAMES)
  const typed = renderMetrics(new Rig().actor.snapshot()).match(/^# TYPE (\S+) /gm)!.map((line) => line.split(' ')[2])
  assert.deepEqual(typed, NAMES)
})

function samples(rig: Rig): Map<string, number> {
  const lines = renderMetrics(rig.actor.snapshot()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => {
    const match = /^([a-z_:0-9]+\{[^{}]*\}) (\S+)$/.exec(line)
    assert.ok(match, `not a sample: ${line}`)
    return [match[1]!, Number(match[2])]
  }))
}

test('counts follow the requests, and every sample names its model', () => {
  const rig = new Rig({ maxConcurrentRequests: 1 })
  rig.load('a', { prefixQueryTokensTotal: 10, prefixHitTokensTotal: 4, preemptionsTotal: 2, freeBlocks: 20, cachedBlocks: 5, totalBlocks: 100, numRunning: 3 })
  rig.submit()
  rig.submit({ requestId: 'r2' })
  rig.advance(30)
  rig.tokens('r1', { tokenIds: [65] })
  rig.advance(20)
  rig.tokens('r1', { firstIndex: 1, tokenIds: [65, 66], finish: finishOf('length') })
  rig.submit({ requestId: 'r3', n: 99 })
  const found = samples(rig)
  for (const [sample, value] of Object.entries({
    'rubato_requests_total{model_name="tiny",outcome="length"}': 1,
    'rubato_requests_total{model_name="tiny",outcome="invalid"}': 1,
    'rubato_requests_running{model_name="tiny"}': 1,
    'vllm:request_success_total{model_name="tiny",finished_reason="length"}': 1,
    'vllm:generation_tokens_total{model_name="tiny"}': 3,
    'vllm:prompt_tokens_total{model_name="tiny"}': 2,
    'vllm:time_to_first_token_seconds_sum{model_name="tiny"}': 0.03,
    'vllm:time_to_first_token_seconds_bucket{model_name="tiny",le="0.02"}': 0,
    'vllm:time_to_first_token_seconds_bucket{model_name="tiny",le="0.04"}': 1,
    'vllm:time_to_first_token_seconds_bucket{model_name="tiny",le="+Inf"}': 1,
    'rubato_inter_token_seconds_count{model_name="tiny"}': 2,
    'rubato_inter_token_seconds_sum{model_name="tiny"}': 0.02,
    'vllm:kv_cache_usage_perc{model_name="tiny"}': 0.75,
    'vllm:prefix_cache_hits_total{model_name="tiny"}': 4,
    'rubato_instances{model_name="tiny",state="serving"}': 1,
  })) assert.equal(found.get(sample), value, sample)
  assert.ok([...found.keys()].every((sample) => sample.includes('model_name="tiny"')))
})

test('fleet counters never fall when an instance restarts', () => {
  const rig = new Rig()
  rig.load('a', { prefixQueryTokensTotal: 10, preemptionsTotal: 2 })
  rig.load('a', { incarnation: 2, prefixQueryTokensTotal: 1 })
  rig.report({ kind: 'gone', instanceId: 'a', incarnation: 2, reason: 'left' })
  const found = samples(rig)
  assert.equal(found.get('vllm:prefix_cache_queries_total{model_name="tiny"}'), 11)
  assert.equal(found.get('vllm:num_preemptions_total{model_name="tiny"}'), 2)
})

test('a label keeps its quotes and line breaks inside one line', () => {
  const snapshot = new Rig().actor.snapshot()
  const text = renderMetrics({ ...snapshot, models: snapshot.models.map((model) => ({ ...model, model: 'a"b\\c\nd' })) })
  assert.ok(text.includes('rubato_requests_running{model_name="a\\"b\\\\c\\nd"} 0'))
})
