import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SpeculatorRig, more, whole } from './actor/fixtures/speculator-rig.ts'
import { renderSpeculatorMetrics } from './metrics.ts'

const NAMES = `instances sequences queued_drafts asks_total refused_total drafts_total draft_tokens_total batches_total batched_drafts_total preparations_total
queue_seconds_total draft_seconds_total run_seconds_total cpu_seconds_total failures_total restarts_total`.trim().split(/\s+/)

const rendered = (rig: SpeculatorRig): string => renderSpeculatorMetrics({ snapshot: rig.actor.snapshot(), restartsTotal: 2 })

test('metric names are an API: changing one breaks dashboards', () => {
  const names = rendered(new SpeculatorRig()).match(/^# TYPE (\S+) /gm)!.map((line) => line.split(' ')[2])
  assert.deepEqual(names, NAMES.map((name) => `rubato_speculator_${name}`))
})

test('counts follow what was asked and what came of it', () => {
  const rig = new SpeculatorRig()
  rig.hello('a')
  rig.hello('b', { vocabulary: 'other' })
  rig.ask('a', 1, [whole(1, 3), whole(2, 3)])
  rig.nowMs = 20
  rig.ask('a', 2, [more(9, 1, 2)])
  rig.runAll()
  const text = rendered(rig)
  for (const sample of [
    'instances 1', 'sequences 2', 'queued_drafts 0', 'asks_total{outcome="answered"} 2', 'refused_total{reason="other_vocabulary"} 1', 'drafts_total{outcome="drafted"} 2',
    'drafts_total{outcome="unknown"} 1', 'draft_tokens_total 2', 'batches_total 1', 'batched_drafts_total 2', 'draft_seconds_total 0.001', 'restarts_total 2',
  ]) assert.ok(text.includes(`rubato_speculator_${sample}\n`), `${sample} is missing in\n${text}`)
})
