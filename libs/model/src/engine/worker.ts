// The engine's thread: opens the executor, then executes commands one after another until told to close.
import { parentPort, workerData } from 'node:worker_threads'
import { RubatoError } from '@rubato/config'
import { openExecutor } from './open-executor.ts'
import type { EngineOptions } from './options.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

if (parentPort === null) throw new Error('engine/worker.ts runs as a worker thread only')
const port = parentPort

const post = (message: FromWorker): void => port.postMessage(message)

function describe(error: unknown): { code: string; message: string; field: string | null } {
  if (error instanceof RubatoError) return { code: error.code, message: error.message, field: error.field ?? null }
  return { code: 'engine_failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error), field: null }
}

try {
  const opened = await openExecutor(workerData as EngineOptions, (stage, doneRatio) => post({ kind: 'progress', stage, doneRatio }))
  let queue = Promise.resolve()
  port.on('message', (message: ToWorker) => {
    queue = queue.then(async () => {
      if (message.kind === 'close') {
        await opened.close()
        port.close()
        return
      }
      try {
        post({ kind: 'result', id: message.id, result: await opened.executor.execute(message.command) })
      } catch (error) {
        post({ kind: 'failed', id: message.id, error: describe(error) })
      }
    })
  })
  post({ kind: 'ready', load: opened.load })
} catch (error) {
  post({ kind: 'refused', error: describe(error) })
  port.close()
}
