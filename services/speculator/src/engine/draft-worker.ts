// The draft model's thread: opens it, then runs commands one after another until told to close.
//
// 1. A failed command is the last: the thread ends itself, and everything it knew is gone with it.
import process from 'node:process'
import { parentPort, workerData } from 'node:worker_threads'
import { RubatoError } from '@rubato/config'
import { openDraftModel } from '@rubato/model/drafter'
import type { DraftModelOptions } from '@rubato/model/drafter'
import type { DraftCommand, DraftRun } from './draft-command.ts'
import { Drafter } from './drafter.ts'

export interface WorkerFailure {
  readonly code: string
  readonly message: string
  readonly field: string | null
}

export type ToDraftWorker = { readonly kind: 'run'; readonly id: number; readonly command: DraftCommand } | { readonly kind: 'close' }

export type FromDraftWorker =
  | { readonly kind: 'ready'; readonly numParameters: number }
  | { readonly kind: 'refused'; readonly error: WorkerFailure }
  | { readonly kind: 'ran'; readonly id: number; readonly run: DraftRun }
  | { readonly kind: 'failed'; readonly error: WorkerFailure }

if (parentPort === null) throw new Error('engine/draft-worker.ts runs as a worker thread only')
const port = parentPort

const CRASH_EXIT_CODE = 70

const post = (message: FromDraftWorker): void => port.postMessage(message)

function describe(error: unknown): WorkerFailure {
  if (error instanceof RubatoError) return { code: error.code, message: error.message, field: error.field ?? null }
  return { code: 'draft_engine_failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error), field: null }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

try {
  const options = workerData as DraftModelOptions
  const { model, numParameters, close } = await openDraftModel(options)
  const drafter = new Drafter({ model, vocabSize: options.vocabSize, wallMs: () => performance.now(), cpuMs: threadCpuMs })
  let queue = Promise.resolve()
  port.on('message', (message: ToDraftWorker) => {
    queue = queue.then(async () => {
      if (message.kind === 'close') {
        await close()
        port.close()
        return
      }
      try {
        post({ kind: 'ran', id: message.id, run: await drafter.run(message.command) })
      } catch (error) {
        post({ kind: 'failed', error: describe(error) })
        process.exit(CRASH_EXIT_CODE)
      }
    })
  })
  post({ kind: 'ready', numParameters })
} catch (error) {
  post({ kind: 'refused', error: describe(error) })
  port.close()
}
