// What every instance looked like over time, sampled evenly: when there are too many samples, every second one goes and the
// interval doubles.
import type { LoadMessage } from '@rubato/instance'
import type { InstanceTimeline, Timelines } from '../trial-report.ts'

const MAX_SAMPLES = 240

interface Sampled {
  readonly name: string
  readonly group: string
  queue: number[]
  running: number[]
  kvUse: (number | null)[]
}

/** A total that starts anew when its instance does. */
class LastingTotal {
  #before = 0
  #last = 0

  see(value: number): void {
    if (value < this.#last) this.#before += this.#last
    this.#last = value
  }

  get value(): number {
    return this.#before + this.#last
  }
}

export interface SampledInstance {
  readonly name: string
  /** null: it is down. */
  readonly load: LoadMessage | null
}

export class TimelineBook {
  #intervalMs: number
  #atS: number[] = []
  #migrations: number[] = []
  readonly #instances = new Map<string, Sampled>()
  readonly #preemptions = new Map<string, LastingTotal>()
  readonly #moved = new Map<string, LastingTotal>()

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** Until the next sample is wanted. */
  get intervalMs(): number {
    return this.#intervalMs
  }

  /** Times must ascend. */
  sample(atMs: number, instances: readonly SampledInstance[]): void {
    this.#atS.push(atMs / 1000)
    this.see(instances)
    for (const { name, load } of instances) {
      const line = this.#line(name)
      line.queue.push(load?.numWaiting ?? 0)
      line.running.push(load?.numRunning ?? 0)
      line.kvUse.push(load === null ? null : 1 - (load.freeBlocks + load.cachedBlocks) / load.totalBlocks)
    }
    this.#migrations.push(this.migrations)
    if (this.#atS.length > MAX_SAMPLES) this.#thin()
  }

  /** Brings the totals up to date, without a sample. */
  see(instances: readonly SampledInstance[]): void {
    for (const { name, load } of instances) {
      if (load === null) continue
      totalOf(this.#preemptions, name).see(load.preemptionsTotal)
      totalOf(this.#moved, name).see(load.migrations.inTotal)
    }
  }

  /** So far, over all instances. */
  get migrations(): number {
    return sum(this.#moved)
  }

  get preemptions(): number {
    return sum(this.#preemptions)
  }

  timelines(): Timelines {
    const instances = [...this.#instances.values()].map(({ kvUse, ...line }): InstanceTimeline => ({ ...line, kv_use: kvUse.map((use) => (use === null ? null : Math.round(use * 1e4) / 1e4)) }))
    return { at_s: this.#atS, instances, migrations: this.#migrations }
  }

  #line(name: string): Sampled {
    let line = this.#instances.get(name)
    if (line === undefined) this.#instances.set(name, (line = { name, group: name.replace(/-\d+$/, ''), queue: [], running: [], kvUse: [] }))
    return line
  }

  #thin(): void {
    const everySecond = <T>(list: readonly T[]): T[] => list.filter((_, index) => index % 2 === 0)
    this.#intervalMs *= 2
    this.#atS = everySecond(this.#atS)
    this.#migrations = everySecond(this.#migrations)
    for (const line of this.#instances.values()) [line.queue, line.running, line.kvUse] = [everySecond(line.queue), everySecond(line.running), everySecond(line.kvUse)]
  }
}

function totalOf(totals: Map<string, LastingTotal>, name: string): LastingTotal {
  let total = totals.get(name)
  if (total === undefined) totals.set(name, (total = new LastingTotal()))
  return total
}

function sum(totals: ReadonlyMap<string, LastingTotal>): number {
  return [...totals.values()].reduce((all, { value }) => all + value, 0)
}
