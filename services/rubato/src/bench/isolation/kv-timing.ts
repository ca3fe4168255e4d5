// When KV travels and when decoding begins, from the spans of single requests on an idle cluster; and what a second request
// with the same beginning still moves.
import type { SpanRecord } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import type { RandomStream } from '@rubato/sim'
import { median } from '../statistics.ts'
import type { IsolationCluster } from './isolation-cluster.ts'
import { promptOf } from './isolation-rounds.ts'

export interface KvTimingReport {
  readonly requests: number
  readonly cells: number
  readonly transfers: number
  /** From the end of the last prefill cell to the begin of the first decode step. */
  readonly median_wait_ms: number
  readonly max_wait_ms: number
  /** Of that, what the transfer of the last cell's blocks does not explain. */
  readonly min_wait_beyond_transfer_ms: number
  readonly median_wait_beyond_transfer_ms: number
  readonly max_wait_beyond_transfer_ms: number
  readonly median_transfer_ms: number
  /** Of the transfers that had a later cell to hide behind, those that ended before the last cell did. */
  readonly overlapped_ratio: number
  readonly prompt_blocks: number
  /** Blocks moved for a fresh prompt, and for one that shares its beginning with it. */
  readonly moved_blocks: number
  readonly shared_blocks: number
  readonly moved_blocks_when_shared: number
  readonly wait_limit_ms: number
  readonly exceeded: boolean
}

export interface KvTimingPlan {
  readonly requests: number
  readonly promptTokens: number
}

const WAIT_LIMIT_MS = 10
const OUTPUT_TOKENS = 4

interface Timed {
  readonly cells: readonly SpanRecord[]
  readonly transfers: readonly SpanRecord[]
  readonly decodeStartMs: number
}

async function timed(cluster: IsolationCluster, tokenIds: readonly number[]): Promise<Timed> {
  cluster.spans.take()
  cluster.recorder.begin()
  await cluster.send(tokenIds, OUTPUT_TOKENS).ended
  await cluster.idle()
  const first = cluster.recorder.end().find(({ numDecodes }) => numDecodes > 0)
  const spans = cluster.spans.take()
  const named = (name: string): SpanRecord[] => spans.filter((span) => span.name === name).toSorted((a, b) => a.endMs - b.endMs)
  const [cells, transfers] = [named('prefill.cell'), named('kv.transfer')]
  if (first === undefined || cells.length === 0) throw new RubatoError('internal', 'the request was not decoded where it was meant to be')
  return { cells, transfers, decodeStartMs: first.startMs }
}

const durationMs = ({ startMs, endMs }: SpanRecord): number => endMs - startMs
const blocksOf = (transfers: readonly SpanRecord[]): number => transfers.reduce((sum, { attributes }) => sum + Number(attributes['blocks']), 0)

interface Waits {
  readonly waitMs: number
  readonly beyondMs: number
}

function waitsOf({ cells, transfers, decodeStartMs }: Timed): Waits {
  const waitMs = decodeStartMs - cells.at(-1)!.endMs
  const last = transfers.at(-1)
  return { waitMs, beyondMs: waitMs - (last === undefined ? 0 : durationMs(last)) }
}

export async function measureKvTiming(cluster: IsolationCluster, plan: KvTimingPlan, random: RandomStream): Promise<KvTimingReport> {
  const { promptTokens } = plan
  const { blockSize, cellTokens } = cluster.recorder.shape
  cluster.spans.isOn = true
  // The first one opens connections.
  await timed(cluster, promptOf(random, promptTokens))
  const fresh: Timed[] = []
  let prompt: readonly number[] = []
  for (let index = 0; index < plan.requests; index++) {
    prompt = promptOf(random, promptTokens)
    fresh.push(await timed(cluster, prompt))
  }
  const sharedTokens = Math.floor(promptTokens / 2 / cellTokens) * cellTokens
  const again = await timed(cluster, [...prompt.slice(0, sharedTokens), ...promptOf(random, promptTokens - sharedTokens)])
  cluster.spans.isOn = false
  const waits = fresh.map(waitsOf)
  const early = fresh.flatMap(({ cells, transfers }) => transfers.slice(0, -1).map((transfer) => transfer.endMs <= cells.at(-1)!.endMs))
  const beyond = waits.map(({ beyondMs }) => beyondMs)
  return {
    requests: fresh.length,
    cells: median(fresh.map(({ cells }) => cells.length)),
    transfers: median(fresh.map(({ transfers }) => transfers.length)),
    median_wait_ms: median(waits.map(({ waitMs }) => waitMs)),
    max_wait_ms: Math.max(...waits.map(({ waitMs }) => waitMs)),
    min_wait_beyond_transfer_ms: Math.min(...beyond),
    median_wait_beyond_transfer_ms: median(beyond),
    max_wait_beyond_transfer_ms: Math.max(...beyond),
    median_transfer_ms: median(fresh.flatMap(({ transfers }) => transfers.map(durationMs))),
    overlapped_ratio: early.length === 0 ? 0 : early.filter(Boolean).length / early.length,
    prompt_blocks: Math.ceil(promptTokens / blockSize),
    moved_blocks: median(fresh.map(({ transfers }) => blocksOf(transfers))),
    shared_blocks: sharedTokens / blockSize,
    moved_blocks_when_shared: blocksOf(again.transfers),
    wait_limit_ms: WAIT_LIMIT_MS,
    exceeded: median(beyond) > WAIT_LIMIT_MS,
  }
}

export function renderKvTiming(report: KvTimingReport): string {
  const ms = (value: number): string => `${value.toFixed(1)} ms`
  return [
    `hand-off of ${report.requests} prompts of ${report.cells} cells: first decode step ${ms(report.median_wait_ms)} after the last cell (at most ${ms(report.max_wait_ms)}),`,
    `  ${ms(report.median_wait_beyond_transfer_ms)} of it beyond the last transfer (${ms(report.min_wait_beyond_transfer_ms)} to ${ms(report.max_wait_beyond_transfer_ms)}); limit ${report.wait_limit_ms} ms at the median: ${report.exceeded ? 'EXCEEDED' : 'ok'}`,
    `  ${report.transfers} transfers of ${ms(report.median_transfer_ms)} each; ${Math.round(report.overlapped_ratio * 100)} % of those before the last were over when the last cell was`,
    `  ${report.moved_blocks} of ${report.prompt_blocks} blocks moved for a fresh prompt, ${report.moved_blocks_when_shared} where ${report.shared_blocks} were there already`,
  ].join('\n')
}
