// The speculator's /metrics. Names are an API: a test holds the list.
import { renderFamilies } from '@rubato/telemetry'
import type { MetricFamily, Sample } from '@rubato/telemetry'
import type { SpeculatorSnapshot } from './actor/counts.ts'

const single = (value: number): readonly Sample[] => [{ labels: {}, value }]
const by = (label: string, counts: Readonly<Record<string, number>>): readonly Sample[] => Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }))

export interface SpeculatorReading {
  readonly snapshot: SpeculatorSnapshot
  /** Times that the draft model was opened again. */
  readonly restartsTotal: number
}

function families({ snapshot, restartsTotal }: SpeculatorReading): readonly MetricFamily[] {
  const counter = (name: string, help: string, samples: readonly Sample[]): MetricFamily => ({ name: `rubato_speculator_${name}`, type: 'counter', help, samples })
  const gauge = (name: string, help: string, value: number): MetricFamily => ({ name: `rubato_speculator_${name}`, type: 'gauge', help, samples: single(value) })
  return [
    gauge('instances', 'Instances that it drafts for.', snapshot.numSessions),
    gauge('sequences', 'Sequences that it knows.', snapshot.numSequences),
    gauge('queued_drafts', 'Drafts that wait for the draft model.', snapshot.numQueued),
    counter('asks_total', 'Asks by what became of them.', by('outcome', snapshot.asksTotal)),
    counter('refused_total', 'Sessions refused or ended by it, by reason.', by('reason', snapshot.refusedTotal)),
    counter('drafts_total', 'Sequences asked for: drafted for, too far behind, or unknown.', by('outcome', snapshot.draftsTotal)),
    counter('draft_tokens_total', 'Tokens drafted.', single(snapshot.draftTokensTotal)),
    counter('batches_total', 'Runs of the draft model that drafted.', single(snapshot.batchesTotal)),
    counter('batched_drafts_total', 'Drafts in these runs.', single(snapshot.batchedDraftsTotal)),
    counter('preparations_total', 'Runs that computed KV ahead of drafts.', single(snapshot.preparationsTotal)),
    counter('queue_seconds_total', 'From the arrival of asks to their first run, over those that were answered.', single(snapshot.queueMsTotal / 1000)),
    counter('draft_seconds_total', 'Time drafting.', single(snapshot.draftMsTotal / 1000)),
    counter('run_seconds_total', 'Time in all runs of the draft model.', single(snapshot.runMsTotal / 1000)),
    counter('cpu_seconds_total', 'CPU time of its thread.', single(snapshot.cpuMsTotal / 1000)),
    counter('failures_total', 'Runs that the draft model died with.', single(snapshot.failuresTotal)),
    counter('restarts_total', 'Times that it was opened again.', single(restartsTotal)),
  ]
}

/** Prometheus text. */
export function renderSpeculatorMetrics(reading: SpeculatorReading): string {
  return renderFamilies(families(reading))
}
