// The engine's thread: opens the executor, then executes commands one after another until told to close.
//
// 1. A failed command is the last: the thread ends itself, between runs. It must never be terminated from outside while a
//    run is inside ONNX Runtime, whose binding then takes the whole process down.
import process from 'node:process'
import { parentPort, workerData } from 'node:worker_threads'
import { RubatoError } from '@rubato/config'
import { openExecutor } from './open-executor.ts'
import type { EngineOptions } from './options.ts'
import type { EngineResult } from './step.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

if (parentPort === null) throw new Error('engine/worker.ts runs as a worker thread only')
const port = parentPort

const CRASH_EXIT_CODE = 70

const post = (message: FromWorker): void => port.postMessage(message)

/** Exported blocks are moved to the owner's thread, not copied. */
function postResult(id: number, result: EngineResult): void {
  port.postMessage({ kind: 'result', id, result } satisfies FromWorker, result.kind === 'export-blocks' ? [result.bytes.buffer as ArrayBuffer] : [])
}

function describe(error: unknown): { code: string; message: string; field: string | null } {
  if (error instanceof RubatoError) return { code: error.code, message: error.message, field: error.field ?? null }
  return { code: 'engine_failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error), field: null }
}

try {
  const opened = await openExecutor(workerData as EngineOptions, (stage, doneRatio) => post({ kind: 'progress', stage, doneRatio }))
  let queue = Promise.resolve()
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'crash') return process.exit(CRASH_EXIT_CODE)
    queue = queue.then(async () => {
      if (message.kind === 'close') {
        await opened.close()
        port.close()
        return
      }
      try {
        postResult(message.id, await opened.executor.execute(message.command))
      } catch (error) {
        post({ kind: 'failed', id: message.id, error: describe(error) })
        process.exit(CRASH_EXIT_CODE)
      }
    })
  })
  post({ kind: 'ready', load: opened.load })
} catch (error) {
  post({ kind: 'refused', error: describe(error) })
  port.close()
}
