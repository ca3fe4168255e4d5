// CPU time of an engine's threads: its worker and the threads that ONNX Runtime started from there, which carry its name.
// The scheduler's own count is exact to the nanosecond once a thread sleeps, so readings are taken between steps.
import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const TASKS = '/proc/self/task'
const ENGINE_THREAD = 'rubato-engine'
/** The worker sleeps again this long after it has answered. */
const SETTLE_MS = 1

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Ids of all engines' threads in this process; empty where the platform does not tell. */
export function engineThreads(): ReadonlySet<string> {
  try {
    return new Set(readdirSync(TASKS).filter((id) => read(`${TASKS}/${id}/comm`).trim() === ENGINE_THREAD))
  } catch {
    return new Set()
  }
}

export class EngineCpu {
  readonly #ids: readonly string[]

  /** The engine's threads are those that were not there before it was opened. */
  constructor(before: ReadonlySet<string>) {
    this.#ids = [...engineThreads()].filter((id) => !before.has(id))
  }

  get #isKnown(): boolean {
    return this.#ids.some((id) => read(`${TASKS}/${id}/schedstat`) !== '')
  }

  /** CPU milliseconds while `work` runs, where the platform counts, else the engine's own figure, which `work` returns. Call while no step runs. */
  async spentMs(work: () => Promise<number>): Promise<number> {
    const startMs = await this.#readMs()
    const ownMs = await work()
    return this.#isKnown ? (await this.#readMs()) - startMs : ownMs
  }

  /** Milliseconds of CPU since the threads began. */
  async #readMs(): Promise<number> {
    await delay(SETTLE_MS)
    return this.#ids.reduce((sum, id) => sum + Number(read(`${TASKS}/${id}/schedstat`).split(' ')[0] ?? 0) / 1e6, 0)
  }
}
