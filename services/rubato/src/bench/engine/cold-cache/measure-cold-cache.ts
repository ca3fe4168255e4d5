// Does a full prefix cache slow decoding down? CPU per decode step with 90 % of the arena holding cold cached blocks, against
// the same batch in an empty arena: interleaved samples on two engines, the ratio of medians with its interval.
import { ScratchArena } from '@rubato/model/engine'
import { randomStream } from '@rubato/sim'
import type { RandomStream } from '@rubato/sim'
import { exceeds, median, ratioOfMedians } from '../../statistics.ts'
import { rounded } from '../engine-report.ts'
import { BLOCK_SIZE, modelLength, openBenchEngine } from '../open-engine.ts'
import type { BenchEngine, BenchEngineOptions } from '../open-engine.ts'
import { CachedServing } from './cached-serving.ts'

export interface ColdCacheReport {
  readonly batch: number
  readonly pairs: number
  readonly steps_per_sample: number
  /** CPU ms per decode step, medians. */
  readonly cold_cpu_ms: number
  readonly empty_cpu_ms: number
  /** cold / empty with its 95 % bootstrap interval. */
  readonly ratio: number
  readonly low: number
  readonly high: number
  readonly limit: number
  readonly exceeded: boolean
  readonly cold_blocks: number
  readonly total_blocks: number
  /** Cached blocks that prompts hit, in the history and in the measured batch. */
  readonly hit_blocks: number
}

export interface ColdCachePlan extends Omit<BenchEngineOptions, 'numBlocks' | 'maxModelLen'> {
  readonly batch: number
  readonly pairs: number
  readonly seed: number
}

/** A full cache may cost this much. */
const LIMIT_RATIO = 1.1
const COLD_RATIO = 0.9
const STEPS_PER_SAMPLE = 4
const WARM_STEPS = 8
const NUM_PROMPT_NAMES = 64
const HIT_RATIO = 0.3
const MIN_CONTEXT = 64
const MAX_CONTEXT = 1024

interface Side {
  readonly bench: BenchEngine
  readonly serving: CachedServing
}

function batchContexts(batch: number, longest: number): readonly number[] {
  return Array.from({ length: batch }, (_, i) => Math.round(MIN_CONTEXT + (i * (longest - MIN_CONTEXT)) / Math.max(1, batch - 1)))
}

/** Random arrivals, hits and ends until the cache has filled and partly turned over. */
export async function makeHistory(serving: CachedServing, random: RandomStream, sizes: { readonly numBlocks: number; readonly longest: number; readonly batch: number }): Promise<void> {
  for (let arrivals = 0; serving.numAllocated < 1.3 * sizes.numBlocks; arrivals++) {
    const isRepeat = random.next() < HIT_RATIO
    const name = isRepeat ? random.int(NUM_PROMPT_NAMES) : NUM_PROMPT_NAMES + arrivals
    await serving.start(name, MIN_CONTEXT + random.int(sizes.longest - MIN_CONTEXT))
    if (arrivals % 4 === 0) await serving.decode()
    while (serving.numRunning > sizes.batch / 2 || (serving.numRunning > 1 && random.next() < 0.3)) await serving.finish(random.int(serving.numRunning))
  }
  await serving.finishAll()
}

async function startBatch(serving: CachedServing, contexts: readonly number[], nameOf: (place: number) => number): Promise<void> {
  for (const [place, context] of contexts.entries()) await serving.start(nameOf(place), context)
  for (let i = 0; i < WARM_STEPS; i++) await serving.decode()
}

/** CPU ms per step over one sample. */
async function sample({ bench, serving }: Side): Promise<number> {
  const cpuMs = await bench.cpu.spentMs(async () => {
    let stepCpuMs = 0
    for (let i = 0; i < STEPS_PER_SAMPLE; i++) stepCpuMs += (await serving.decode()).cpuMs
    return stepCpuMs
  })
  return cpuMs / STEPS_PER_SAMPLE
}

async function samplePairs(cold: Side, empty: Side, pairs: number): Promise<(readonly [number, number])[]> {
  const samples: (readonly [number, number])[] = []
  for (let pair = 0; pair < pairs; pair++) {
    if (pair % 2 === 0) samples.push([await sample(cold), await sample(empty)])
    else {
      const emptyMs = await sample(empty)
      samples.push([await sample(cold), emptyMs])
    }
  }
  return samples
}

export async function measureColdCache(plan: ColdCachePlan): Promise<ColdCacheReport> {
  const growth = WARM_STEPS + plan.pairs * STEPS_PER_SAMPLE + 1
  const maxModelLen = await modelLength(plan.modelDir, MAX_CONTEXT + growth)
  const longest = Math.max(MIN_CONTEXT + 1, maxModelLen - growth)
  const contexts = batchContexts(plan.batch, longest)
  const activeBlocks = contexts.reduce((sum, context) => sum + Math.ceil((context + growth) / BLOCK_SIZE), 0)
  const numBlocks = Math.ceil(activeBlocks / (1 - COLD_RATIO))
  const open = async (writtenBlocks: number): Promise<Side> => {
    const bench = await openBenchEngine({ ...plan, maxModelLen, numBlocks })
    const arena = new ScratchArena(bench.engine)
    await arena.write(writtenBlocks)
    return { bench, serving: new CachedServing(arena) }
  }
  const cold = await open(numBlocks)
  const empty = await open(activeBlocks)
  plan.onProgress(`filling the cache of ${numBlocks} blocks`)
  const random = randomStream(plan.seed, 'history')
  await makeHistory(cold.serving, random, { numBlocks, longest, batch: plan.batch })
  await startBatch(cold.serving, contexts, (place) => (place % 4 === 0 ? random.int(NUM_PROMPT_NAMES) : -1 - place))
  await startBatch(empty.serving, contexts, (place) => place)
  const coldBlocks = cold.serving.cachedBlocks
  plan.onProgress(`${plan.pairs} pairs of ${STEPS_PER_SAMPLE} steps`)
  const pairs = await samplePairs(cold, empty, plan.pairs)
  await Promise.all([cold.bench.engine.close(), empty.bench.engine.close()])
  return coldCacheReport(pairs, { ...plan, coldBlocks, numBlocks, hitBlocks: cold.serving.numHitBlocks })
}

interface ReportFacts {
  readonly batch: number
  readonly seed: number
  readonly coldBlocks: number
  readonly numBlocks: number
  readonly hitBlocks: number
}

/** The report of pairs of CPU ms per step, cold first. */
export function coldCacheReport(pairs: readonly (readonly [number, number])[], facts: ReportFacts): ColdCacheReport {
  const interval = ratioOfMedians(pairs, { random: randomStream(facts.seed, 'resamples') })
  const middle = (side: 0 | 1): number => rounded(median(pairs.map((pair) => pair[side])))
  return {
    batch: facts.batch,
    pairs: pairs.length,
    steps_per_sample: STEPS_PER_SAMPLE,
    cold_cpu_ms: middle(0),
    empty_cpu_ms: middle(1),
    ratio: rounded(interval.ratio),
    low: rounded(interval.low),
    high: rounded(interval.high),
    limit: LIMIT_RATIO,
    exceeded: exceeds(interval, LIMIT_RATIO),
    cold_blocks: facts.coldBlocks,
    total_blocks: facts.numBlocks,
    hit_blocks: facts.hitBlocks,
  }
}

export function renderColdCache(report: ColdCacheReport): string {
  const { batch, pairs, cold_cpu_ms, empty_cpu_ms, ratio, low, high, limit } = report
  return [
    `decode at batch ${batch}: ${cold_cpu_ms} ms CPU per step with ${report.cold_blocks} of ${report.total_blocks} blocks cold, ${empty_cpu_ms} ms with an empty cache`,
    `ratio ${ratio} [${low}, ${high}] (95 % bootstrap, ${pairs} pairs); limit ${limit}: ${report.exceeded ? 'EXCEEDED' : 'ok'}`,
  ].join('\n')
}
