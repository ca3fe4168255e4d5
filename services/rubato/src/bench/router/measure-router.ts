// What a router costs: CPU per relayed token and per request, and whether memory grows with the number of requests. Instances and
// clients run in other processes, so that the router's own CPU is all that is counted.
import type { GenerateRequest } from '@rubato/rpc'
import { randomStream } from '@rubato/sim'
import { slopeOf } from '../cluster/modes/slope.ts'
import { Excerpts, readPromptText } from '../serve/dataset/prompt-text.ts'
import type { ProbeAnswer, ProbeQuestion } from '../cluster/fleet/probe.ts'

export interface StreamLoad {
  readonly numRequests: number
  readonly numStreams: number
  /** Of the request with this number. */
  readonly request: (index: number) => GenerateRequest
  readonly signal: AbortSignal
}

/** The router under test, and the way to load it. */
export interface MeasuredRouter {
  ask(question: ProbeQuestion): Promise<ProbeAnswer>
  /** Resolves with the number of tokens that came. */
  run(load: StreamLoad): Promise<number>
}

export interface RouterPlan {
  readonly numStreams: number
  readonly tokenRequests: number
  readonly outputTokens: number
  readonly costRequests: number
  readonly promptTokens: number
  /** 0: memory is not measured. */
  readonly memoryRequests: number
  readonly seed: number
}

export interface CpuShare {
  readonly requests: number
  readonly tokens: number
  readonly wall_s: number
  readonly tokens_per_s: number
  readonly cpu_s: number
}

export interface MemoryReport {
  readonly requests: number
  readonly wall_s: number
  readonly heap_start_mb: number
  readonly heap_end_mb: number
  readonly rss_start_mb: number
  readonly rss_end_mb: number
  /** Least squares after the first fifth. */
  readonly heap_bytes_per_request: number | null
  readonly rss_bytes_per_request: number | null
}

export interface RouterReport {
  readonly streams: number
  readonly prompt_tokens: number
  /** Long streams of token ids: what a token costs. */
  readonly relay: CpuShare
  /** One token each, text prompts: what everything but tokens costs. */
  readonly request: CpuShare
  readonly cpu_us_per_token: number
  readonly cpu_us_per_request: number
  /** With nothing to do: leases, load reports, timers. */
  readonly idle_cpu_ms_per_s: number
  readonly memory: MemoryReport | null
}

export interface MeasureIo {
  readonly progress: (line: string) => void
  readonly signal: AbortSignal
  readonly sleep: (ms: number) => Promise<void>
}

const MB = 2 ** 20
const IDLE_MS = 3000
const MEMORY_SAMPLES = 25
const WARM_UP_RATIO = 0.2
const CHARS_PER_TOKEN = 2.3

/** Prompts that differ from each other, so that no prefix cache answers for them. */
function requestMaker(plan: RouterPlan): (kind: 'text' | 'ids', maxTokens: number) => (index: number) => GenerateRequest {
  const random = randomStream(plan.seed, 'bench router')
  const excerpts = new Excerpts(readPromptText(null), random)
  const texts = Array.from({ length: 64 }, () => excerpts.next(Math.round(plan.promptTokens * CHARS_PER_TOKEN)))
  const ids = Array.from({ length: 64 }, () => Array.from({ length: plan.promptTokens }, () => Math.floor(random.between(16, 1000))))
  return (kind, maxTokens) => (index) => {
    const sampling = { maxTokens, temperature: 1, seed: index, ignoreEos: true }
    return kind === 'text' ? { prompt: texts[index % texts.length]!, sampling } : { tokenIds: { ids: [...ids[index % ids.length]!.slice(1), 16 + (index % 900)] }, sampling }
  }
}

async function cpuOf(router: MeasuredRouter, work: () => Promise<number>, requests: number): Promise<CpuShare> {
  const before = await router.ask('usage')
  const startMs = performance.now()
  const tokens = await work()
  const wallS = (performance.now() - startMs) / 1000
  const after = await router.ask('usage')
  return { requests, tokens, wall_s: wallS, tokens_per_s: tokens / wallS, cpu_s: (after.cpuUs - before.cpuUs) / 1e6 }
}

async function measureMemory(router: MeasuredRouter, plan: RouterPlan, request: (index: number) => GenerateRequest, { progress, signal }: MeasureIo): Promise<MemoryReport> {
  const { memoryRequests, numStreams } = plan
  const perSample = Math.ceil(memoryRequests / MEMORY_SAMPLES)
  const startMs = performance.now()
  const samples = [{ done: 0, ...(await router.ask('usage-after-gc')) }]
  for (let done = 0; done < memoryRequests && !signal.aborted;) {
    const numRequests = Math.min(perSample, memoryRequests - done)
    await router.run({ numRequests, numStreams, request, signal })
    done += numRequests
    samples.push({ done, ...(await router.ask('usage-after-gc')) })
    progress(`${done} of ${memoryRequests} requests: heap ${(samples.at(-1)!.heapBytes / MB).toFixed(1)} MB, RSS ${(samples.at(-1)!.rssBytes / MB).toFixed(0)} MB`)
  }
  const warm = samples.filter(({ done }) => done >= memoryRequests * WARM_UP_RATIO)
  const [first, last] = [warm[0] ?? samples[0]!, samples.at(-1)!]
  return {
    requests: last.done,
    wall_s: (performance.now() - startMs) / 1000,
    heap_start_mb: first.heapBytes / MB,
    heap_end_mb: last.heapBytes / MB,
    rss_start_mb: first.rssBytes / MB,
    rss_end_mb: last.rssBytes / MB,
    heap_bytes_per_request: slopeOf(warm.map(({ done, heapBytes }) => [done, heapBytes])),
    rss_bytes_per_request: slopeOf(warm.map(({ done, rssBytes }) => [done, rssBytes])),
  }
}

/**
 * CPU per request comes from requests of one token each; CPU per token from long streams less that share. Both include the idle
 * cost of the time that they took.
 */
export async function measureRouter(router: MeasuredRouter, plan: RouterPlan, io: MeasureIo): Promise<RouterReport> {
  const { numStreams, tokenRequests, outputTokens, costRequests } = plan
  const make = requestMaker(plan)
  const run = (numRequests: number, request: (index: number) => GenerateRequest): Promise<number> => router.run({ numRequests, numStreams, request, signal: io.signal })
  io.progress('warming up')
  await run(numStreams * 2, make('ids', outputTokens))
  await run(costRequests, make('text', 1))
  io.progress('idle')
  const idle = await cpuOf(router, async () => io.sleep(IDLE_MS).then(() => 0), 0)
  io.progress(`${costRequests} requests of one token`)
  const request = await cpuOf(router, () => run(costRequests, make('text', 1)), costRequests)
  io.progress(`${tokenRequests} streams of ${outputTokens} tokens, ${numStreams} at a time`)
  const relay = await cpuOf(router, () => run(tokenRequests, make('ids', outputTokens)), tokenRequests)
  const usPerRequest = (request.cpu_s * 1e6) / request.requests
  const memory = plan.memoryRequests === 0 || io.signal.aborted ? null : await measureMemory(router, plan, make('ids', 2), io)
  return {
    streams: numStreams,
    prompt_tokens: plan.promptTokens,
    relay,
    request,
    cpu_us_per_token: (relay.cpu_s * 1e6 - usPerRequest * relay.requests) / relay.tokens,
    cpu_us_per_request: usPerRequest,
    idle_cpu_ms_per_s: (idle.cpu_s * 1000) / idle.wall_s,
    memory,
  }
}
