// What the engine's thread and its owner say to each other.
import type { EngineLoad } from './options.ts'
import type { EngineCommand, EngineResult } from './step.ts'

export type ToWorker = { readonly kind: 'execute'; readonly id: number; readonly command: EngineCommand } | { readonly kind: 'close' } | { readonly kind: 'crash' }

export interface WorkerError {
  readonly code: string
  readonly message: string
  readonly field: string | null
}

export type FromWorker =
  | { readonly kind: 'progress'; readonly stage: string; readonly doneRatio: number | null }
  | { readonly kind: 'ready'; readonly load: EngineLoad }
  | { readonly kind: 'refused'; readonly error: WorkerError }
  | { readonly kind: 'result'; readonly id: number; readonly result: EngineResult }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WorkerError }
