// A thread that runs one job after another.
import { parentPort, workerData } from 'node:worker_threads'
import { RubatoError } from '@rubato/config'
import { readRows } from '../../workload/read-rows.ts'
import { runJob } from '../run-job.ts'
import type { JobMessage, WorkerMessage, WorkerStart } from './messages.ts'

/** Progress is told at most this often. */
const TELL_EVERY_MS = 200

const { scenario } = workerData as WorkerStart
const rows = readRows(scenario.workload)
let lastToldMs = -Infinity

function tell(message: WorkerMessage): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', ({ index, job }: JobMessage) => {
  try {
    const result = runJob(scenario, rows, job, (progress) => {
      if (performance.now() - lastToldMs < TELL_EVERY_MS) return
      lastToldMs = performance.now()
      tell({ kind: 'progress', index, progress })
    })
    tell({ kind: 'done', index, result })
  } catch (error) {
    const { code = 'internal' } = error instanceof RubatoError ? error : {}
    tell({ kind: 'failed', index, code, message: error instanceof Error ? error.message : String(error), stack: (error as Error).stack ?? '' })
  }
})
