// The body of /metrics: the router's counts in Prometheus text format, under our own names and, so that existing
// dashboards and autoscalers work, under vLLM's. Names are an API: a test holds the list.
import type { HistogramSnapshot } from './actor/state/histogram.ts'
import { OUTCOMES } from './actor/state/stats.ts'
import type { ModelSnapshot, RequestOutcome, RouterSnapshot } from './actor/state/stats.ts'

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** The samples of one model; labels beside model_name come with each. */
  readonly read: (model: ModelSnapshot) => number | HistogramSnapshot | readonly LabelledSample[]
}

interface LabelledSample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** vLLM's finished_reason where it has one: what worked, and what its client ended. */
const FINISHED_REASONS: readonly (readonly [reason: string, outcome: RequestOutcome])[] = [['stop', 'stop'], ['length', 'length'], ['abort', 'cancelled']]

const counter = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'counter', help, read })
const gauge = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'gauge', help, read })
const histogram = (name: string, help: string, read: Family['read']): Family => ({ name, type: 'histogram', help, read })

const OWN: readonly Family[] = [
  counter('rubato_requests_total', 'Requests ended, by outcome.', ({ stats }) => OUTCOMES.map((outcome) => ({ labels: { outcome }, value: stats.requestsByOutcome[outcome] }))),
  gauge('rubato_requests_running', 'Admitted requests of this router.', ({ numRunning }) => numRunning),
  gauge('rubato_requests_queued', 'Requests tokenizing or waiting at the door of this router.', ({ numQueued }) => numQueued),
  gauge('rubato_instances', 'Instances known to this router.', ({ fleet }) => [
    { labels: { state: 'serving' }, value: fleet.numServing }, { labels: { state: 'draining' }, value: fleet.numDraining },
  ]),
  counter('rubato_prompt_tokens_total', 'Prompt tokens of finished requests.', ({ stats }) => stats.promptTokensTotal),
  counter('rubato_generation_tokens_total', 'Tokens relayed to clients.', ({ stats }) => stats.generationTokensTotal),
  counter('rubato_accepted_draft_tokens_total', 'Draft tokens accepted, of finished requests.', ({ stats }) => stats.acceptedDraftTokensTotal),
  counter('rubato_recoveries_total', 'Times a request was taken to another instance because its own was lost.', ({ stats }) => stats.recoveriesTotal),
  counter('rubato_migrations_total', 'Live migrations of finished requests.', ({ stats }) => stats.migrationsTotal),
  counter('rubato_duplicate_tokens_total', 'Tokens that came again and were dropped.', ({ stats }) => stats.duplicateTokensTotal),
  counter('rubato_resends_total', 'Gaps for which tokens were asked again.', ({ stats }) => stats.resendsTotal),
  gauge('rubato_kv_usage_ratio', 'KV blocks held by live requests, 0 to 1.', ({ fleet }) => fleet.kvUsageRatio),
  histogram('rubato_ttft_seconds', 'Submission to first token, at the router.', ({ stats }) => stats.ttftSeconds),
  histogram('rubato_tpot_seconds', 'Mean time per output token after the first, per request, at the router.', ({ stats }) => stats.tpotSeconds),
  histogram('rubato_inter_token_seconds', 'Gap between tokens; a step of k tokens counts k gaps of a k-th.', ({ stats }) => stats.itlSeconds),
  histogram('rubato_e2e_seconds', 'Submission to last token, finished requests.', ({ stats }) => stats.e2eSeconds),
]

const VLLM: readonly Family[] = [
  gauge('vllm:num_requests_running', 'Sequences in execution on the instances.', ({ fleet }) => fleet.numRunning),
  gauge('vllm:num_requests_waiting', 'Requests waiting at the router and on the instances.', ({ numQueued, fleet }) => numQueued + fleet.numWaiting),
  gauge('vllm:kv_cache_usage_perc', 'KV-cache usage, 0 to 1.', ({ fleet }) => fleet.kvUsageRatio),
  counter('vllm:prefix_cache_queries_total', 'Prompt tokens looked up in the prefix cache.', ({ fleet }) => fleet.prefixQueryTokensTotal),
  counter('vllm:prefix_cache_hits_total', 'Prompt tokens found in the prefix cache.', ({ fleet }) => fleet.prefixHitTokensTotal),
  counter('vllm:prompt_tokens_total', 'Prompt tokens of finished requests.', ({ stats }) => stats.promptTokensTotal),
  counter('vllm:generation_tokens_total', 'Tokens relayed to clients.', ({ stats }) => stats.generationTokensTotal),
  counter('vllm:request_success_total', 'Requests ended, by reason.', ({ stats }) =>
    FINISHED_REASONS.map(([reason, outcome]) => ({ labels: { finished_reason: reason }, value: stats.requestsByOutcome[outcome] }))),
  counter('vllm:num_preemptions_total', 'Preemptions on the instances.', ({ fleet }) => fleet.preemptionsTotal),
  histogram('vllm:time_to_first_token_seconds', 'Submission to first token.', ({ stats }) => stats.ttftSeconds),
  histogram('vllm:inter_token_latency_seconds', 'Gap between tokens.', ({ stats }) => stats.itlSeconds),
  histogram('vllm:request_time_per_output_token_seconds', 'Mean time per output token, per request.', ({ stats }) => stats.tpotSeconds),
  histogram('vllm:e2e_request_latency_seconds', 'Submission to last token.', ({ stats }) => stats.e2eSeconds),
  histogram('vllm:request_queue_time_seconds', 'Time waiting, at the router and on the instance.', ({ stats }) => stats.queueSeconds),
  histogram('vllm:request_prefill_time_seconds', 'Time in prefill.', ({ stats }) => stats.prefillSeconds),
  histogram('vllm:request_decode_time_seconds', 'First token to last.', ({ stats }) => stats.decodeSeconds),
  histogram('vllm:request_prompt_tokens', 'Prompt tokens per request.', ({ stats }) => stats.promptTokens),
  histogram('vllm:request_generation_tokens', 'Generated tokens per request.', ({ stats }) => stats.generationTokens),
  histogram('vllm:iteration_tokens_total', 'Generated tokens per engine step and router.', ({ stats }) => stats.stepTokens),
  counter('vllm:spec_decode_num_drafts_total', 'Drafts verified on the instances.', ({ fleet }) => fleet.draftsTotal),
  counter('vllm:spec_decode_num_draft_tokens_total', 'Draft tokens verified on the instances.', ({ fleet }) => fleet.draftTokensTotal),
  counter('vllm:spec_decode_num_accepted_tokens_total', 'Draft tokens accepted on the instances.', ({ fleet }) => fleet.acceptedTokensTotal),
]

/** Every family that renderMetrics writes, in order. */
export const METRIC_NAMES: readonly string[] = [...OWN, ...VLLM].map(({ name }) => name)

/** Prometheus text format 0.0.4. */
export function renderMetrics(snapshot: RouterSnapshot): string {
  const lines: string[] = []
  for (const family of [...OWN, ...VLLM]) {
    lines.push(`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`)
    for (const model of snapshot.models) pushSamples(lines, family, model)
  }
  return `${lines.join('\n')}\n`
}

function pushSamples(lines: string[], { name, read }: Family, snapshot: ModelSnapshot): void {
  const model = `model_name="${escapeLabel(snapshot.model)}"`
  const value = read(snapshot)
  if (typeof value === 'number') lines.push(`${name}{${model}} ${value}`)
  else if ('buckets' in value) pushHistogram(lines, name, model, value)
  else {
    for (const sample of value) {
      const labels = Object.entries(sample.labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
      lines.push(`${name}{${[model, ...labels].join(',')}} ${sample.value}`)
    }
  }
}

function pushHistogram(lines: string[], name: string, model: string, { buckets, counts, sum }: HistogramSnapshot): void {
  let cumulative = 0
  for (const [index, bound] of buckets.entries()) {
    cumulative += counts[index] ?? 0
    lines.push(`${name}_bucket{${model},le="${bound}"} ${cumulative}`)
  }
  cumulative += counts[buckets.length] ?? 0
  lines.push(`${name}_bucket{${model},le="+Inf"} ${cumulative}`, `${name}_sum{${model}} ${sum}`, `${name}_count{${model}} ${cumulative}`)
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
