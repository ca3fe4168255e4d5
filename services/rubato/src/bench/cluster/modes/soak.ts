// `--soak MINUTES`: steady load for long, and whether memory or latency creep. Answers are counted and forgotten.
import { setMaxListeners } from 'node:events'
import type { Fleet } from '../fleet/fleet.ts'
import { clientFor, loadOptions, planFor, servedModel } from '../load/drive.ts'
import type { DriveIo, LoadShape } from '../load/drive.ts'
import type { Answer } from '../../serve/client/generate-client.ts'
import { percentile } from '../../statistics.ts'
import { leftoversOf } from './leftovers.ts'
import type { Leftovers } from './leftovers.ts'
import { slopeOf } from './slope.ts'

/** Memory once a minute, right after a full garbage collection: between collections it goes up and down with them. */
export interface SoakProcess {
  readonly name: string
  readonly rss_start_mb: number
  readonly rss_end_mb: number
  readonly heap_start_mb: number
  readonly heap_end_mb: number
  /** Least squares over everything after the warm-up. */
  readonly rss_slope_mb_per_hour: number | null
  readonly heap_slope_mb_per_hour: number | null
}

export interface SoakWindow {
  readonly minute: number
  readonly requests: number
  readonly tokens: number
  readonly p50_itl_ms: number | null
  readonly p99_itl_ms: number | null
  readonly p99_ttft_ms: number | null
}

export interface SoakReport {
  readonly minutes: number
  readonly completed: number
  readonly failed: number
  readonly tokens: number
  readonly processes: readonly SoakProcess[]
  readonly windows: readonly SoakWindow[]
  /** P99 ITL of the last third of the windows over that of the first third after the warm-up. */
  readonly p99_itl_drift: number | null
  readonly leftovers: Leftovers
}

const MINUTE_MS = 60_000
const MB = 2 ** 20
/** The share of the run that counts as warm-up, of memory and latency. */
const WARM_UP_RATIO = 0.2
const MAX_GAPS = 200_000

class Window {
  requests = 0
  tokens = 0
  readonly #gapsMs: number[] = []
  readonly #ttftMs: number[] = []

  add({ startMs, chunkTimesMs, outputTokens }: Answer): void {
    this.requests++
    this.tokens += outputTokens
    if (chunkTimesMs[0] !== undefined) this.#ttftMs.push(chunkTimesMs[0] - startMs)
    for (let index = 1; index < chunkTimesMs.length && this.#gapsMs.length < MAX_GAPS; index++) this.#gapsMs.push(chunkTimesMs[index]! - chunkTimesMs[index - 1]!)
  }

  close(minute: number): SoakWindow {
    const gaps = this.#gapsMs.toSorted((a, b) => a - b)
    const ttfts = this.#ttftMs.toSorted((a, b) => a - b)
    return { minute, requests: this.requests, tokens: this.tokens, p50_itl_ms: percentile(gaps, 50), p99_itl_ms: percentile(gaps, 99), p99_ttft_ms: percentile(ttfts, 99) }
  }
}

type Sample = readonly [atMs: number, bytes: number]

/** Memory of every process over time. */
class MemoryLog {
  readonly #samples = new Map<string, { readonly rss: Sample[]; readonly heap: Sample[] }>()

  async sample(fleet: Fleet, atMs: number): Promise<void> {
    for (const service of fleet.processes) {
      const { rssBytes, heapBytes } = await service.ask('usage-after-gc')
      const samples = this.#samples.get(service.options.name) ?? { rss: [], heap: [] }
      samples.rss.push([atMs, rssBytes])
      samples.heap.push([atMs, heapBytes])
      this.#samples.set(service.options.name, samples)
    }
  }

  report(afterMs: number): SoakProcess[] {
    return [...this.#samples].map(([name, { rss, heap }]) => {
      const [warmRss, warmHeap] = [trendOf(rss, afterMs), trendOf(heap, afterMs)]
      return {
        name, rss_start_mb: warmRss.startMb, rss_end_mb: warmRss.endMb, heap_start_mb: warmHeap.startMb, heap_end_mb: warmHeap.endMb,
        rss_slope_mb_per_hour: warmRss.mbPerHour, heap_slope_mb_per_hour: warmHeap.mbPerHour,
      }
    })
  }
}

function trendOf(samples: readonly Sample[], afterMs: number): { readonly startMb: number; readonly endMb: number; readonly mbPerHour: number | null } {
  const warm = samples.filter(([atMs]) => atMs >= afterMs)
  const slope = slopeOf(warm)
  return { startMb: (warm[0]?.[1] ?? 0) / MB, endMb: (warm.at(-1)?.[1] ?? 0) / MB, mbPerHour: slope === null ? null : (slope * 60 * MINUTE_MS) / MB }
}

function driftOf(windows: readonly SoakWindow[]): number | null {
  const values = windows.slice(Math.ceil(windows.length * WARM_UP_RATIO)).flatMap(({ p99_itl_ms: value }) => (value === null ? [] : [value]))
  const third = Math.floor(values.length / 3)
  if (third === 0) return null
  const mean = (part: readonly number[]): number => part.reduce((sum, value) => sum + value, 0) / part.length
  return mean(values.slice(-third)) / mean(values.slice(0, third))
}

/** Everything that a soak counts while it runs. */
class SoakLog {
  completed = 0
  failed = 0
  tokens = 0
  readonly windows: SoakWindow[] = []
  readonly memory = new MemoryLog()
  #window = new Window()

  take(answer: Answer): void {
    if (answer.end.kind === 'failed') this.failed++
    if (answer.end.kind !== 'completed') return
    this.completed++
    this.tokens += answer.outputTokens
    this.#window.add(answer)
  }

  closeWindow(): void {
    if (this.#window.requests > 0) this.windows.push(this.#window.close(this.windows.length + 1))
    this.#window = new Window()
  }

  get line(): string {
    return `minute ${this.windows.length}: ${this.completed} done, ${this.failed} failed, P99 ITL ${this.windows.at(-1)?.p99_itl_ms?.toFixed(1) ?? '-'} ms`
  }
}

/** Requests one after another on each of `concurrency` lines until the time is over. */
async function keepBusy(fleet: Fleet, shape: LoadShape, { log, endMs, io }: { log: SoakLog; endMs: number; io: DriveIo }): Promise<void> {
  const options = loadOptions(shape)
  const requests = planFor(options)
  const client = clientFor(fleet, options, 'soak')
  let next = 0
  try {
    const model = await servedModel(client, io.signal)
    const line = async (): Promise<void> => {
      while (performance.now() < endMs && !io.signal.aborted) {
        const index = next++
        log.take(await client.generate(model, { ...requests[index % requests.length]!, index }, io.signal))
      }
    }
    await Promise.all(Array.from({ length: shape.concurrency }, line))
  } finally {
    client.close()
  }
}

export async function runSoak(fleet: Fleet, shape: LoadShape, minutes: number, io: DriveIo): Promise<SoakReport> {
  setMaxListeners(0, io.signal)
  const log = new SoakLog()
  const startMs = performance.now()
  const minuteHand = setInterval(() => {
    log.closeWindow()
    io.progress(log.line)
    log.memory.sample(fleet, performance.now() - startMs).catch((error: unknown) => io.progress(`memory was not read: ${error instanceof Error ? error.message : String(error)}`))
  }, MINUTE_MS)
  try {
    await keepBusy(fleet, shape, { log, endMs: startMs + minutes * MINUTE_MS, io })
  } finally {
    clearInterval(minuteHand)
  }
  log.closeWindow()
  await log.memory.sample(fleet, performance.now() - startMs)
  const { completed, failed, tokens, windows, memory } = log
  const afterMs = (performance.now() - startMs) * WARM_UP_RATIO
  return { minutes, completed, failed, tokens, processes: memory.report(afterMs), windows, p99_itl_drift: driftOf(windows), leftovers: await leftoversOf(fleet, io.signal) }
}
