// What a fleet still holds after its load ended: nothing, once leases and orphans have run out.
import { setTimeout as delay } from 'node:timers/promises'
import { metricSum } from '../fleet/metric-text.ts'
import type { Fleet } from '../fleet/fleet.ts'

export interface Leftovers {
  /** In the routers. */
  readonly requests: number
  /** Running and waiting on the instances. */
  readonly sequences: number
  readonly kv_blocks: number
  /** Processes whose metrics could not be read. */
  readonly silent: readonly string[]
}

/** Orphans wait for 10 s. */
const LIMIT_MS = 20_000
const POLL_MS = 250

async function readLeftovers(fleet: Fleet): Promise<Leftovers> {
  const bodies = await Promise.all(fleet.processes.map(async (service) => ({ service, text: await fleet.metricsOf(service) })))
  const sum = (name: string, labels: Readonly<Record<string, string>> = {}): number => bodies.reduce((total, { text }) => total + (text === null ? 0 : metricSum(text, name, labels)), 0)
  return {
    requests: sum('rubato_requests_running') + sum('rubato_requests_queued'),
    sequences: sum('rubato_instance_sequences'),
    kv_blocks: sum('rubato_instance_kv_blocks', { state: 'used' }),
    silent: bodies.filter(({ text }) => text === null).map(({ service }) => service.options.name),
  }
}

/** Waits until nothing is left, or for as long as anything may last. */
export async function leftoversOf(fleet: Fleet, signal: AbortSignal): Promise<Leftovers> {
  const endMs = performance.now() + LIMIT_MS
  for (;;) {
    const left = await readLeftovers(fleet)
    const isClean = left.requests + left.sequences + left.kv_blocks === 0 && left.silent.length === 0
    if (isClean || signal.aborted || performance.now() > endMs) return left
    await delay(POLL_MS)
  }
}
