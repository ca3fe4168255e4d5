// The draft model as its owner sees it: commands go to a worker thread, results come back in order. A thread that dies is
// replaced by another one, which knows none of the sequences.
//
//   running ──dies──> waiting (twice as long after each death) ──> opening ──> running
//                                                                     └─ too many deaths in a row: given up
//
// 1. A command given while there is no thread waits for the next one; what was given to a thread that died rejects with
//    `draft_engine_failed`.
import { setTimeout as delay } from 'node:timers/promises'
import type { DraftModelOptions } from '@rubato/model/drafter'
import type { DraftCommand, DraftRun } from './draft-command.ts'
import { DraftThread } from './draft-thread.ts'

export interface DraftEngineOptions extends DraftModelOptions {
  /** A thread died; the next one is being opened, unless it has been given up. */
  readonly onDeath?: (error: Error, isLast: boolean) => void
}

const FIRST_RESTART_MS = 100
const MAX_DEATHS = 6
/** A thread that lived this long was healthy: the count of deaths starts anew. */
const HEALTHY_MS = 60_000

/** What runs the draft model's commands. */
export interface DraftModelHost {
  /** False while it cannot. */
  readonly isUp: boolean
  readonly restartsTotal: number
  /** Rejects with RubatoError `draft_engine_failed`, which means that it knows nothing any more. */
  run(command: DraftCommand): Promise<DraftRun>
  close(): Promise<void>
}

export class DraftEngine implements DraftModelHost {
  readonly #options: DraftEngineOptions
  readonly #stop = new AbortController()
  #thread: Promise<DraftThread>
  #numDeaths = 0
  #restartsTotal = 0
  #isUp = true

  private constructor(options: DraftEngineOptions, first: DraftThread) {
    this.#options = options
    this.#thread = Promise.resolve(first)
    this.#watch(first)
  }

  /** Rejects with CheckpointError, or InvalidArgument whose field is `draft` when the checkpoint cannot draft for the model. */
  static async open(options: DraftEngineOptions): Promise<DraftEngine> {
    return new DraftEngine(options, await DraftThread.open(modelOptions(options)))
  }

  /** False while there is no thread. */
  get isUp(): boolean {
    return this.#isUp
  }

  /** Threads beyond the first. */
  get restartsTotal(): number {
    return this.#restartsTotal
  }

  async run(command: DraftCommand): Promise<DraftRun> {
    return (await this.#thread).run(command)
  }

  /** Lets what was given finish, then ends the thread. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#isUp = false
    await this.#thread.then((thread) => thread.close(), () => {})
  }

  #watch(thread: DraftThread): void {
    const startMs = performance.now()
    void thread.ended.then((error) => {
      if (error === null || this.#stop.signal.aborted) return
      this.#numDeaths = performance.now() - startMs > HEALTHY_MS ? 1 : this.#numDeaths + 1
      this.#isUp = false
      const isLast = this.#numDeaths > MAX_DEATHS
      this.#options.onDeath?.(error, isLast)
      this.#thread = isLast ? Promise.reject(error) : this.#reopen()
      this.#thread.catch(() => {})
    })
  }

  async #reopen(): Promise<DraftThread> {
    await delay(FIRST_RESTART_MS * 2 ** (this.#numDeaths - 1), undefined, { signal: this.#stop.signal })
    let thread: DraftThread
    try {
      thread = await DraftThread.open(modelOptions(this.#options))
    } catch (error) {
      this.#options.onDeath?.(error instanceof Error ? error : new Error(String(error)), true)
      throw error
    }
    if (this.#stop.signal.aborted) await thread.close()
    this.#restartsTotal += 1
    this.#isUp = !this.#stop.signal.aborted
    this.#watch(thread)
    return thread
  }
}

/** What the thread can be told: no functions. */
function modelOptions({ modelDir, vocabSize, maxModelLen, blockSize, kvCacheBytes, intraOpThreads }: DraftEngineOptions): DraftModelOptions {
  return { modelDir, vocabSize, maxModelLen, blockSize, kvCacheBytes, intraOpThreads }
}
