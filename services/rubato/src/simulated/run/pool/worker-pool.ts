// Runs jobs on worker threads, one at a time on each: every job is independent, so results do not depend on how many there are.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { RubatoError } from '@rubato/config'
import type { Scenario } from '../../scenario/scenario.ts'
import type { Job, JobProgress, JobResult } from '../jobs.ts'
import type { JobMessage, WorkerMessage, WorkerStart } from './messages.ts'

/** What a thread may keep: 256 instances under 1,000 requests per second need half of it. Without a limit garbage piles up to twice as much. */
const MAX_HEAP_MB = 1400

export interface PoolOptions {
  readonly scenario: Scenario
  readonly jobs: readonly Job[]
  /** At most one per job is started. */
  readonly numThreads: number
  readonly onProgress: (index: number, progress: JobProgress) => void
  readonly onDone: (index: number) => void
  /** Aborting ends every thread at once; what had ended by then is returned. */
  readonly signal: AbortSignal
}

/** Results by job; undefined: stopped before it ended. Rejects with RubatoError when a job failed. */
export async function runJobs({ scenario, jobs, numThreads, onProgress, onDone, signal }: PoolOptions): Promise<readonly (JobResult | undefined)[]> {
  const results: (JobResult | undefined)[] = jobs.map(() => undefined)
  const { promise: failure, reject: fail } = Promise.withResolvers<never>()
  const queue = [...jobs.keys()]
  const workers: Worker[] = []
  const runQueue = async (): Promise<void> => {
    const first = queue.shift()
    if (first === undefined || signal.aborted) return
    const start: WorkerStart = { scenario }
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: start, resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB } })
    workers.push(worker)
    const give = (index: number): void => worker.postMessage({ index, job: jobs[index]! } satisfies JobMessage)
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'progress') onProgress(message.index, message.progress)
      else if (message.kind === 'failed') fail(failureOf(message))
      else {
        results[message.index] = message.result
        onDone(message.index)
        const next = queue.shift()
        if (next === undefined) void worker.terminate()
        else give(next)
      }
    })
    worker.on('error', fail)
    give(first)
    await once(worker, 'exit')
  }
  const stop = (): void => {
    for (const worker of workers) void worker.terminate()
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([Promise.all(Array.from({ length: Math.min(numThreads, jobs.length) }, runQueue)), failure])
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
  return results
}

function failureOf({ code, message, stack }: Extract<WorkerMessage, { kind: 'failed' }>): RubatoError {
  const error = new RubatoError(code, message)
  error.stack = stack
  return error
}
