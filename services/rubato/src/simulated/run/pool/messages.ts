// What the main thread and the workers of a scenario tell each other. Plain values.
import type { Scenario } from '../../scenario/scenario.ts'
import type { Job, JobProgress, JobResult } from '../jobs.ts'

/** Given to a worker at its start. */
export interface WorkerStart {
  readonly scenario: Scenario
}

export interface JobMessage {
  readonly index: number
  readonly job: Job
}

export type WorkerMessage =
  | { readonly kind: 'progress'; readonly index: number; readonly progress: JobProgress }
  | { readonly kind: 'done'; readonly index: number; readonly result: JobResult }
  | { readonly kind: 'failed'; readonly index: number; readonly code: string; readonly message: string; readonly stack: string }
