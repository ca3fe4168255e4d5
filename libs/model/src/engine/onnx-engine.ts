// The ONNX Runtime engine as its owner sees it: commands go to a worker thread, results come back in order.
//
// 1. A failed command or a dead worker ends the engine: every pending and later command rejects with `engine_failed`.
import { Worker } from 'node:worker_threads'
import { RubatoError } from '@rubato/config'
import type { EngineLoad, EngineOptions, EngineProgress } from './options.ts'
import type { Engine, EngineCommand, EngineResult, EngineShape } from './step.ts'
import type { FromWorker, ToWorker, WorkerError } from './worker-messages.ts'

interface Pending {
  readonly resolve: (result: EngineResult) => void
  readonly reject: (error: Error) => void
}

function toError({ code, message, field }: WorkerError): RubatoError {
  return new RubatoError(code, message, field === null ? {} : { field })
}

export class OnnxEngine implements Engine {
  readonly load: EngineLoad
  readonly closed: Promise<Error | null>
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  readonly #end: (error: Error | null) => void
  #nextId = 1
  #ended: Error | null = null
  #closing = false

  private constructor(worker: Worker, load: EngineLoad) {
    this.load = load
    this.#worker = worker
    const { promise, resolve } = Promise.withResolvers<Error | null>()
    this.closed = promise
    this.#end = resolve
    worker.on('message', (message: FromWorker) => this.#receive(message))
    worker.on('error', (error: Error) => this.#fail(error))
    worker.on('exit', (code) => this.#fail(new Error(`the engine's thread ended with code ${code}`)))
  }

  /** Starts the thread and loads the model. Rejects with what openExecutor throws. */
  static async open(options: EngineOptions, onProgress: EngineProgress = () => {}): Promise<OnnxEngine> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: options, execArgv: [], name: 'rubato-engine' })
    const { promise, resolve, reject } = Promise.withResolvers<EngineLoad>()
    const onMessage = (message: FromWorker): void => {
      if (message.kind === 'progress') onProgress(message.stage, message.doneRatio)
      else if (message.kind === 'ready') resolve(message.load)
      else if (message.kind === 'refused') reject(toError(message.error))
    }
    const onExit = (code: number): void => reject(new RubatoError('engine_load', `the engine's thread ended with code ${code} while loading`))
    worker.on('message', onMessage).once('error', reject).once('exit', onExit)
    const engine = new OnnxEngine(worker, await promise)
    worker.off('message', onMessage).off('error', reject).off('exit', onExit)
    return engine
  }

  get shape(): EngineShape {
    return this.load.shape
  }

  execute(command: EngineCommand): Promise<EngineResult> {
    if (this.#ended !== null || this.#closing) return Promise.reject(this.#ended ?? new RubatoError('engine_failed', 'the engine is closed'))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#post({ kind: 'execute', id, command })
    })
  }

  /** Lets what was asked for finish, then ends the thread. */
  async close(): Promise<void> {
    if (this.#ended !== null) return
    if (!this.#closing) this.#post({ kind: 'close' })
    this.#closing = true
    await this.closed
  }

  /** Ends the thread as a crash would, as soon as a run that is under way returns: for fault drills. */
  kill(): void {
    this.#post({ kind: 'crash' })
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'result') this.#settle(message.id)?.resolve(message.result)
    else if (message.kind === 'failed') {
      this.#settle(message.id)?.reject(toError({ ...message.error, code: 'engine_failed' }))
      this.#fail(toError(message.error))
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  #fail(cause: Error): void {
    if (this.#ended !== null) return
    const error = new RubatoError('engine_failed', `the engine is gone: ${cause.message}`, { cause, retryable: true })
    this.#ended = error
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
    this.#end(this.#closing ? null : error)
  }
}
