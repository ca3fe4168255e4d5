// The queueing model of DistServe's own simulator (`simdistserve`), event by event.
//
// 1. A new request goes to the prefill instance with the fewest prompts, a prefilled one to the decode instance with the
//    shortest queue; the first one wins a tie. Both are told at once, and moving KV takes no time.
// 2. Prefill makes the first token and decode `outputTokens` more: TPOT divides by all of them, not by one less.
// 3. Decode accounts for no KV memory, and nothing pushes back on prefill: `simdistserve` would, at nine million tokens.
import { RubatoError } from '@rubato/config'
import { SimWorld } from '../../sim-world.ts'
import { scheduleArrivals } from '../arrivals.ts'
import { quantile } from '../quantile.ts'
import type { ReferenceRequest } from '../trace.ts'
import { MAX_DECODE_BATCH_TOKENS, Pipeline } from './pipeline.ts'
import type { DistServeInstance, Job } from './pipeline.ts'

/** What is simulated. Every list has one instance or more. */
export type DistServeConfig =
  | { readonly mode: 'prefill-only'; readonly prefill: readonly DistServeInstance[] }
  | { readonly mode: 'decode-only'; readonly decode: readonly DistServeInstance[] }
  | { readonly mode: 'pair'; readonly prefill: readonly DistServeInstance[]; readonly decode: readonly DistServeInstance[] }
  | { readonly mode: 'colocated'; readonly instances: readonly DistServeInstance[] }

export interface DistServeRecord extends ReferenceRequest {
  /** 0 when there is no prefill. */
  readonly ttftMs: number
  /** First token to end, over `outputTokens`; 0 when there is no decode. */
  readonly tpotMs: number
  readonly e2eMs: number
}

function leastLoaded(pipelines: readonly Pipeline[], load: (pipeline: Pipeline) => number): Pipeline {
  let best = pipelines[0]!
  for (const pipeline of pipelines) if (load(pipeline) < load(best)) best = pipeline
  return best
}

/** Builds the configuration's pipelines and returns what a request does when it arrives. */
function buildCluster(world: SimWorld, config: DistServeConfig, finished: (job: Job) => void): (job: Job) => void {
  const build = (instances: readonly DistServeInstance[], prefilled: (job: Job, pipeline: Pipeline) => void): Pipeline[] =>
    instances.map((instance) => {
      const pipeline: Pipeline = new Pipeline(world, instance, {
        prefilled: (job) => {
          job.firstTokenMs = world.nowMs()
          prefilled(job, pipeline)
        },
        finished,
      })
      return pipeline
    })
  const toPrefill = (pipelines: readonly Pipeline[]) => (job: Job) => leastLoaded(pipelines, ({ prefillLoad }) => prefillLoad).submitPrompt(job)
  const toDecode = (pipelines: readonly Pipeline[]) => (job: Job) => leastLoaded(pipelines, ({ decodeLoad }) => decodeLoad).submitDecode(job)
  const neverPrefilled = (): void => {}
  switch (config.mode) {
    case 'prefill-only':
      return toPrefill(build(config.prefill, finished))
    case 'decode-only':
      return toDecode(build(config.decode, neverPrefilled))
    case 'colocated':
      return toPrefill(build(config.instances, (job, pipeline) => pipeline.submitDecode(job)))
    case 'pair':
      return toPrefill(build(config.prefill, toDecode(build(config.decode, neverPrefilled))))
  }
}

function capacityTokens(config: DistServeConfig): number {
  const instances = config.mode === 'colocated' ? config.instances : config.mode === 'decode-only' ? [] : config.prefill
  return Math.min(...instances.map((instance) => instance.capacityTokens))
}

function checkTrace(config: DistServeConfig, trace: readonly ReferenceRequest[]): void {
  const maxPromptTokens = capacityTokens(config)
  for (const { promptTokens, outputTokens } of trace) {
    if (promptTokens > maxPromptTokens) throw new RubatoError('request_too_long', `a prompt of ${promptTokens} tokens never fits a prefill batch of ${maxPromptTokens}`)
    if (promptTokens + outputTokens > MAX_DECODE_BATCH_TOKENS) throw new RubatoError('request_too_long', `${promptTokens + outputTokens} tokens never fit a decode batch of ${MAX_DECODE_BATCH_TOKENS}`)
  }
}

/**
 * Simulates a trace until every request has ended; records in the order of the trace. Throws RubatoError: `request_too_long`
 * for one that no batch takes, `trace_unsorted` for a trace that is not in order of arrival.
 */
export function simulateDistServe(config: DistServeConfig, trace: readonly ReferenceRequest[]): DistServeRecord[] {
  checkTrace(config, trace)
  const world = new SimWorld({ seed: 0 })
  const arrive = buildCluster(world, config, (job) => {
    job.endMs = world.nowMs()
  })
  const jobs = trace.map(({ arrivalMs, promptTokens, outputTokens }): Job => ({ promptTokens, outputTokens, numDecoded: 0, firstTokenMs: arrivalMs, endMs: arrivalMs }))
  scheduleArrivals(world, trace, (_request, index) => arrive(jobs[index]!))
  world.runUntilIdle()
  return trace.map((request, index) => {
    const { firstTokenMs, endMs } = jobs[index]!
    const { arrivalMs, outputTokens } = request
    return { ...request, ttftMs: firstTokenMs - arrivalMs, tpotMs: (endMs - firstTokenMs) / outputTokens, e2eMs: endMs - arrivalMs }
  })
}

export interface DistServeTargets {
  readonly ttftMs: number
  readonly tpotMs: number
  /** Share of requests that has to meet each target, 0..1. */
  readonly attainmentRatio: number
}

/**
 * Whether both targets hold as `simdistserve` asks: the two quantiles each by itself. Weaker than the paper's attainment,
 * where a request has to meet both.
 */
export function meetsDistServeTargets(records: readonly DistServeRecord[], { ttftMs, tpotMs, attainmentRatio }: DistServeTargets): boolean {
  return quantile(records.map((record) => record.ttftMs), attainmentRatio) < ttftMs && quantile(records.map((record) => record.tpotMs), attainmentRatio) < tpotMs
}

/** Share of requests within both targets, 0..1: the paper's attainment. */
export function jointAttainment(records: readonly DistServeRecord[], { ttftMs, tpotMs }: Omit<DistServeTargets, 'attainmentRatio'>): number {
  return records.filter((record) => record.ttftMs < ttftMs && record.tpotMs < tpotMs).length / records.length
}
