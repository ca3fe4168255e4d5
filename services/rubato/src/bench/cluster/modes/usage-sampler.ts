// CPU and memory of every process of a fleet over a stretch of time, and who was the bottleneck of it.
import os from 'node:os'
import process from 'node:process'
import type { Fleet } from '../fleet/fleet.ts'
import { processUsage } from '../fleet/process-usage.ts'

export interface ProcessShare {
  readonly name: string
  /** CPU time per wall time; 1 is one core. */
  readonly cores: number
  readonly rss_mb: number
}

export interface UsageReport {
  readonly machine_cores: number
  /** Of the fleet, its broker and the load generator together. */
  readonly used_cores: number
  readonly processes: readonly ProcessShare[]
  /** What the load ran into: `machine`, a process's name (its one thread was full), or `none`. */
  readonly saturated: string
}

/** A service process computes on one thread (but for an engine's): beyond this share it is full. */
const FULL_THREAD = 0.85
const FULL_MACHINE = 0.9
const GENERATOR = 'load generator'

export class UsageSampler {
  readonly #fleet: Fleet
  readonly #startMs = performance.now()
  readonly #startCpuMs: ReadonlyMap<string, number>

  /** Begins to count. */
  constructor(fleet: Fleet) {
    this.#fleet = fleet
    this.#startCpuMs = new Map(this.#read().map(({ name, cpuMs }) => [name, cpuMs]))
  }

  report(): UsageReport {
    const wallMs = performance.now() - this.#startMs
    const processes = this.#read().map(({ name, cpuMs, rssBytes }) => ({ name, cores: (cpuMs - (this.#startCpuMs.get(name) ?? 0)) / wallMs, rss_mb: rssBytes / 2 ** 20 }))
    const machineCores = os.availableParallelism()
    const usedCores = processes.reduce((sum, { cores }) => sum + cores, 0)
    const fullest = processes.toSorted((a, b) => b.cores - a.cores)[0]
    const saturated = usedCores > FULL_MACHINE * machineCores ? 'machine' : fullest !== undefined && fullest.cores > FULL_THREAD ? fullest.name : 'none'
    return { machine_cores: machineCores, used_cores: usedCores, processes, saturated }
  }

  #read(): { readonly name: string; readonly cpuMs: number; readonly rssBytes: number }[] {
    const pids: readonly (readonly [name: string, pid: number | null])[] = [
      ...this.#fleet.processes.map(({ options, pid }) => [options.name, pid] as const), ['nats-server', this.#fleet.broker.pid], [GENERATOR, process.pid],
    ]
    return pids.flatMap(([name, pid]) => {
      const usage = pid === null ? null : processUsage(pid)
      return usage === null ? [] : [{ name, ...usage }]
    })
  }
}
