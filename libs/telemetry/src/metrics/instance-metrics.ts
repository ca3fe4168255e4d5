// The body of an instance's own /metrics. Names are an API: a test holds the list. No vLLM names here: the router exports
// those for the whole fleet, and the same name from both would count everything twice.
import type { SpanCounts } from '../tracing/bounded-exporter.ts'
import { renderFamilies } from './prometheus-text.ts'
import type { Labels, MetricFamily, Sample } from './prometheus-text.ts'

/** What an instance's load report says of it; a LoadMessage is one. */
export interface InstanceLoad {
  readonly incarnation: number
  readonly role: string
  readonly draining: boolean
  readonly numRunning: number
  readonly numWaiting: number
  readonly pendingPrefillTokens: number
  readonly contextTokens: number
  readonly freeBlocks: number
  readonly cachedBlocks: number
  readonly totalBlocks: number
  readonly freenessBlocks: number
  readonly lastStepMs: number
  readonly preemptionsTotal: number
  readonly prefixQueryTokensTotal: number
  readonly prefixHitTokensTotal: number
  readonly pullBytesPerSec: number | null
  /** Absent: it never speculates. */
  readonly speculation?: {
    readonly proposer: string
    readonly depth: number
    readonly width: number
    readonly canDraft: boolean
    readonly draftsTotal: number
    readonly draftTokensTotal: number
    readonly acceptedTokensTotal: number
    readonly acceptedByPosition: readonly number[]
    readonly neededTokensTotal: number
    readonly draftMsTotal: number
    readonly stepsTotal: number
    readonly plainStepsTotal: number
    readonly calibrationRatios: readonly number[]
    /** Absent: it asks no speculators. */
    readonly remote?: {
      readonly numSpeculators: number
      readonly numTrusted: number
      readonly answersTotal: number
      readonly lateTotal: number
      readonly failedTotal: number
      readonly garbledTotal: number
      readonly waitMsTotal: number
      readonly roundTripMsTotal: number
    }
  }
}

/** Transfers of one direction since the process started. */
export interface KvTransferCounts {
  readonly numDone: number
  readonly numFailed: number
  readonly bytes: number
}

export interface InstanceMetricsExtra {
  readonly modelName: string
  /** Without its nonce, so that a restart goes on with the same series. */
  readonly instanceName: string
  /** null: it ships no KV, or does not count. */
  readonly kv: { readonly pulled: KvTransferCounts; readonly served: KvTransferCounts } | null
  /** null: it exports no spans. */
  readonly spans: SpanCounts | null
}

interface Reading extends InstanceMetricsExtra {
  readonly load: InstanceLoad
}

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  /** Samples with the labels beside model_name and instance_name. */
  readonly read: (reading: Reading) => readonly Sample[]
}

const NO_LABELS: Labels = {}

function single(pick: (load: InstanceLoad) => number): Family['read'] {
  return ({ load }) => [{ labels: NO_LABELS, value: pick(load) }]
}

function transfers(pick: (counts: KvTransferCounts) => readonly Sample[]): Family['read'] {
  return ({ kv }) => kv === null ? [] : (['pulled', 'served'] as const).flatMap((direction) =>
    pick(kv[direction]).map(({ labels, value }) => ({ labels: { direction, ...labels }, value })))
}

/** Samples of an instance that speculates. */
function drafted(pick: (speculation: NonNullable<InstanceLoad['speculation']>) => readonly Sample[]): Family['read'] {
  return ({ load }) => (load.speculation === undefined ? [] : pick(load.speculation))
}

/** Samples of an instance that asks speculators. */
function asked(pick: (remote: NonNullable<NonNullable<InstanceLoad['speculation']>['remote']>) => readonly Sample[]): Family['read'] {
  return drafted(({ remote }) => (remote === undefined ? [] : pick(remote)))
}

const plain = (value: number): readonly Sample[] => [{ labels: NO_LABELS, value }]
const CLASSES: readonly string[] = ['greedy', 'low', 'high']

const counter = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'counter', help, read })
const gauge = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'gauge', help, read })

const FAMILIES: readonly Family[] = [
  gauge('rubato_instance_info', 'Always 1; says the role.', ({ load }) => [{ labels: { role: load.role }, value: 1 }]),
  gauge('rubato_instance_incarnation', 'Rises with every restart of the engine.', single((load) => load.incarnation)),
  gauge('rubato_instance_draining', '1 while it takes no new requests.', single((load) => load.draining ? 1 : 0)),
  gauge('rubato_instance_sequences', 'Sequences running, and requests waiting.', ({ load }) => [
    { labels: { state: 'running' }, value: load.numRunning }, { labels: { state: 'waiting' }, value: load.numWaiting },
  ]),
  gauge('rubato_instance_pending_prefill_tokens', 'Prompt tokens still to be computed.', single((load) => load.pendingPrefillTokens)),
  gauge('rubato_instance_context_tokens', 'Context of all running sequences together.', single((load) => load.contextTokens)),
  gauge('rubato_instance_kv_blocks', 'KV blocks by what they hold; cached ones give way when blocks are needed.', ({ load }) => [
    { labels: { state: 'free' }, value: load.freeBlocks },
    { labels: { state: 'cached' }, value: load.cachedBlocks },
    { labels: { state: 'used' }, value: load.totalBlocks - load.freeBlocks - load.cachedBlocks },
  ]),
  gauge('rubato_instance_freeness_blocks', 'Decode iterations left before memory runs out, in blocks per running request.', single((load) => load.freenessBlocks)),
  gauge('rubato_instance_last_step_seconds', 'Duration of the last engine step.', single((load) => load.lastStepMs / 1000)),
  counter('rubato_instance_preemptions_total', 'Requests put back to make room.', single((load) => load.preemptionsTotal)),
  counter('rubato_instance_prefix_query_tokens_total', 'Prompt tokens looked up in the prefix cache.', single((load) => load.prefixQueryTokensTotal)),
  counter('rubato_instance_prefix_hit_tokens_total', 'Prompt tokens found in the prefix cache.', single((load) => load.prefixHitTokensTotal)),
  gauge('rubato_instance_kv_pull_bytes_per_second', 'What its pulls of KV measured lately.', ({ load }) =>
    load.pullBytesPerSec === null ? [] : [{ labels: NO_LABELS, value: load.pullBytesPerSec }]),
  counter('rubato_instance_kv_transfers_total', 'KV transfers ended, by direction and outcome.', transfers(({ numDone, numFailed }) => [
    { labels: { outcome: 'done' }, value: numDone }, { labels: { outcome: 'failed' }, value: numFailed },
  ])),
  counter('rubato_instance_kv_transferred_bytes_total', 'KV bytes of transfers that worked, by direction.', transfers(({ bytes }) => [{ labels: NO_LABELS, value: bytes }])),
  gauge('rubato_instance_speculation', 'Always 1; says what proposes drafts now, how deep and how wide.', drafted(({ proposer, depth, width }) => [{ labels: { proposer, depth: String(depth), width: String(width) }, value: 1 }])),
  gauge('rubato_instance_draft_model', '1 while it has a draft model that works.', drafted(({ canDraft }) => plain(canDraft ? 1 : 0))),
  counter('rubato_instance_drafts_total', 'Draft trees verified.', drafted(({ draftsTotal }) => plain(draftsTotal))),
  counter('rubato_instance_draft_tokens_total', 'Draft tokens verified, by why: a target needed them, or they were worth their time.', drafted(({ draftTokensTotal, neededTokensTotal }) => [
    { labels: { reason: 'needed' }, value: neededTokensTotal }, { labels: { reason: 'worth' }, value: draftTokensTotal - neededTokensTotal },
  ])),
  counter('rubato_instance_accepted_draft_tokens_total', 'Draft tokens emitted, by position; the last one stands for all deeper ones.', drafted(({ acceptedByPosition }) =>
    acceptedByPosition.map((value, position) => ({ labels: { position: String(position) }, value })))),
  counter('rubato_instance_draft_seconds_total', 'Time in the draft model.', drafted(({ draftMsTotal }) => plain(draftMsTotal / 1000))),
  counter('rubato_instance_decode_steps_total', 'Steps with decodes, by whether they verified drafts.', drafted(({ stepsTotal, plainStepsTotal }) => [
    { labels: { kind: 'plain' }, value: plainStepsTotal }, { labels: { kind: 'verify' }, value: stepsTotal - plainStepsTotal },
  ])),
  gauge('rubato_instance_acceptance_calibration_ratio', 'Emitted over expected tokens of verified drafts, by class of temperature.', drafted(({ calibrationRatios }) =>
    calibrationRatios.map((value, place) => ({ labels: { temperature: CLASSES[place] ?? String(place) }, value })))),
  gauge('rubato_instance_speculators', 'Speculators that it knows, and those of them that it waits for.', asked(({ numSpeculators, numTrusted }) => [
    { labels: { state: 'known' }, value: numSpeculators }, { labels: { state: 'trusted' }, value: numTrusted },
  ])),
  counter('rubato_instance_speculator_answers_total', 'Answers of speculators.', asked(({ answersTotal }) => plain(answersTotal))),
  counter('rubato_instance_speculator_failures_total', 'Asks of speculators that were answered too late, not at all, or by garbage.', asked(({ lateTotal, failedTotal, garbledTotal }) => [
    { labels: { reason: 'late' }, value: lateTotal }, { labels: { reason: 'failed' }, value: failedTotal }, { labels: { reason: 'garbled' }, value: garbledTotal },
  ])),
  counter('rubato_instance_speculator_wait_seconds_total', 'Time that steps waited for speculators.', asked(({ waitMsTotal }) => plain(waitMsTotal / 1000))),
  counter('rubato_instance_speculator_round_trip_seconds_total', 'From ask to answer, summed over answers.', asked(({ roundTripMsTotal }) => plain(roundTripMsTotal / 1000))),
  counter('rubato_instance_trace_spans_total', 'Spans by what became of them.', ({ spans }) => spans === null ? [] : [
    { labels: { outcome: 'exported' }, value: spans.exported }, { labels: { outcome: 'dropped' }, value: spans.dropped }, { labels: { outcome: 'failed' }, value: spans.failed },
  ]),
]

/** Every family that renderInstanceMetrics writes, in order. */
export const INSTANCE_METRIC_NAMES: readonly string[] = FAMILIES.map(({ name }) => name)

/** Prometheus text format 0.0.4. A load of null (nothing reported yet) names the families without samples. */
export function renderInstanceMetrics(load: InstanceLoad | null, extra: InstanceMetricsExtra): string {
  const shared = { model_name: extra.modelName, instance_name: extra.instanceName }
  return renderFamilies(FAMILIES.map(({ name, type, help, read }): MetricFamily => ({
    name, type, help,
    samples: load === null ? [] : read({ ...extra, load }).map(({ labels, value }) => ({ labels: { ...shared, ...labels }, value })),
  })))
}
