// Heavy text work off the caller's event loop: short texts inline, long ones on worker threads.
//
// 1. A job runs on one worker; a worker runs one job at a time. Jobs start in the order they came.
// 2. Each job settles once: answered, failed, cancelled, timed out or refused; a worker that dies takes only its own job with it.
// 3. At most `maxQueued` jobs wait. A thread holds the process open only while its job runs.
import { InvalidArgument, RubatoError } from '@rubato/config'
import { Worker } from 'node:worker_threads'
import type { RenderOptions, TextMessage } from './chat-template.ts'
import type { TextModel } from './text-model.ts'
import type { TextAnswer, TextJob, TextWorkerData } from './text-worker.ts'

export interface TextPoolOptions {
  /** Serves short texts; workers load the same files. */
  readonly model: TextModel
  readonly numWorkers: number
  /** Texts below this many UTF-16 units run on the caller's thread. @default 2048 */
  readonly inlineUnits?: number
  /** Token sequences below this length are decoded on the caller's thread. @default 16384 */
  readonly inlineTokens?: number
  /** Jobs that may wait for a worker; more are refused. @default 256 */
  readonly maxQueued?: number
  /** Longest time a job may hold a worker, its first load included; workers give way to serving threads. @default 60000 */
  readonly deadlineMs?: number
  /** Heap limit of each worker. @default 2048 */
  readonly maxHeapMiB?: number
}

export interface EncodeOptions {
  readonly addSpecialTokens: boolean
  /** The field named when the text is refused. @default 'prompt' */
  readonly field?: string
  readonly signal?: AbortSignal
}

interface Pending {
  readonly job: TextJob
  readonly resolve: (answer: TextAnswer) => void
  readonly reject: (error: Error) => void
}

interface Slot {
  worker: Worker | undefined
  running: Pending | undefined
  deadline: NodeJS.Timeout | undefined
}

const WORKER_FILE = new URL('./text-worker.ts', import.meta.url)

/** A plain array, as messages between actors carry token ids; several times faster than Array.from. */
function toArray(tokenIds: Uint32Array): number[] {
  const ids: number[] = []
  for (let index = 0; index < tokenIds.length; index++) ids.push(tokenIds[index] as number)
  return ids
}

function toError(answer: Extract<TextAnswer, { kind: 'failed' }>): RubatoError {
  if (answer.code === 'invalid_argument') return new InvalidArgument(answer.field ?? 'prompt', answer.message)
  return new RubatoError(answer.code, answer.message, answer.field === undefined ? {} : { field: answer.field })
}

function cancelled(signal: AbortSignal): RubatoError {
  return new RubatoError('cancelled', 'the text job was cancelled by its caller', { cause: signal.reason })
}

export class TextPool {
  readonly #model: TextModel
  readonly #inlineUnits: number
  readonly #inlineTokens: number
  readonly #maxQueued: number
  readonly #deadlineMs: number
  readonly #maxHeapMiB: number
  readonly #slots: readonly Slot[]
  readonly #queue: Pending[] = []
  #closed = false

  /** Starts no thread; each starts with the first job that needs it. */
  constructor(options: TextPoolOptions) {
    if (!Number.isSafeInteger(options.numWorkers) || options.numWorkers < 1) throw new InvalidArgument('numWorkers', 'a text pool needs at least one worker')
    this.#model = options.model
    this.#inlineUnits = options.inlineUnits ?? 2048
    this.#inlineTokens = options.inlineTokens ?? 16_384
    this.#maxQueued = options.maxQueued ?? 256
    this.#deadlineMs = options.deadlineMs ?? 60_000
    this.#maxHeapMiB = options.maxHeapMiB ?? 2048
    this.#slots = Array.from({ length: options.numWorkers }, () => ({ worker: undefined, running: undefined, deadline: undefined }))
  }

  /**
   * Token ids of a text; as TextModel.encode. Like every job, rejects with RubatoError code `resource_exhausted` when too many jobs wait,
   * `cancelled` on abort, `deadline_exceeded`, `internal` when the thread dies (retryable, unless the job exhausted its heap), `unavailable` after close.
   */
  async encode(text: string, options: EncodeOptions): Promise<number[]> {
    const { addSpecialTokens, field = 'prompt', signal } = options
    this.#requireReady(signal)
    if (text.length < this.#inlineUnits) return this.#model.encode(text, addSpecialTokens, field)
    return this.#tokens({ kind: 'encode', text, addSpecialTokens, field }, signal)
  }

  /** Token ids of a rendered conversation. */
  async renderAndEncode(messages: readonly TextMessage[], options: RenderOptions = {}, signal?: AbortSignal): Promise<number[]> {
    this.#requireReady(signal)
    const numUnits = messages.reduce((sum, { role, content, name }) => sum + role.length + content.length + (name?.length ?? 0), 0)
    if (numUnits < this.#inlineUnits) return this.#model.encode(this.#model.renderChat(messages, options), false, 'messages')
    return this.#tokens({ kind: 'chat', messages, options }, signal)
  }

  /** Text of a whole token sequence; as TextModel.decode. */
  async decode(tokenIds: ArrayLike<number>, skipSpecialTokens = true, signal?: AbortSignal): Promise<string> {
    this.#requireReady(signal)
    if (tokenIds.length < this.#inlineTokens) return this.#model.decode(tokenIds, { skipSpecialTokens })
    const answer = await this.#submit({ kind: 'decode', tokenIds: Uint32Array.from(tokenIds), skipSpecialTokens }, signal)
    if (answer.kind !== 'text') throw new RubatoError('internal', `text worker answered ${answer.kind} to a decode job`)
    return answer.text
  }

  /** Fails what waits or runs with code `unavailable` and ends the threads. */
  async close(): Promise<void> {
    this.#closed = true
    for (const pending of this.#queue.splice(0)) pending.reject(this.#closedError())
    await Promise.all(this.#slots.map((slot) => this.#endWorker(slot, this.#closedError())))
  }

  #closedError(): RubatoError {
    return new RubatoError('unavailable', 'the text pool is closed: the process is shutting down', { retryable: true })
  }

  #requireReady(signal: AbortSignal | undefined): void {
    if (this.#closed) throw this.#closedError()
    if (signal?.aborted === true) throw cancelled(signal)
  }

  async #tokens(job: TextJob, signal: AbortSignal | undefined): Promise<number[]> {
    const answer = await this.#submit(job, signal)
    if (answer.kind !== 'tokens') throw new RubatoError('internal', `text worker answered ${answer.kind} to a job that wants tokens`)
    return toArray(answer.tokenIds)
  }

  async #submit(job: TextJob, signal: AbortSignal | undefined): Promise<TextAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<TextAnswer>()
    const pending: Pending = { job, resolve, reject }
    const slot = this.#slots.find((each) => each.running === undefined && each.worker !== undefined) ?? this.#slots.find((each) => each.running === undefined)
    if (slot === undefined) {
      if (this.#queue.length >= this.#maxQueued) throw new RubatoError('resource_exhausted', `${this.#queue.length} texts already wait to be tokenised; retry later`, { retryable: true })
      this.#queue.push(pending)
    } else this.#start(slot, pending)
    // A running job that is cancelled keeps its worker until it is done: ending the thread would cost the next job a reload.
    const onAbort = (): void => {
      const at = this.#queue.indexOf(pending)
      if (at >= 0) this.#queue.splice(at, 1)
      reject(cancelled(signal as AbortSignal))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #start(slot: Slot, pending: Pending): void {
    const worker = slot.worker ?? this.#startWorker(slot)
    slot.running = pending
    slot.deadline = setTimeout(() => {
      void this.#endWorker(slot, new RubatoError('deadline_exceeded', `text job took longer than ${this.#deadlineMs} ms`))
    }, this.#deadlineMs)
    worker.ref()
    try {
      worker.postMessage(pending.job)
    } catch (error) {
      this.#finish(slot)?.reject(new InvalidArgument('messages', 'hold a value that cannot be sent to a worker', { cause: error }))
    }
  }

  #startWorker(slot: Slot): Worker {
    const data: TextWorkerData = { source: this.#model.source, digest: this.#model.digest }
    // A small young generation: collecting a large one takes threads of the whole process for milliseconds, and the engine's turn with them.
    const resourceLimits = { maxOldGenerationSizeMb: this.#maxHeapMiB, maxYoungGenerationSizeMb: 1 }
    // The process's own Node flags are not for a thread: some, such as --input-type, would stop it from starting.
    const worker = new Worker(WORKER_FILE, { name: 'rubato-text', workerData: data, resourceLimits, execArgv: [] })
    slot.worker = worker
    let cause: NodeJS.ErrnoException | undefined
    worker.on('message', (answer: TextAnswer) => {
      const pending = slot.worker === worker ? this.#finish(slot) : undefined
      if (answer.kind === 'failed') pending?.reject(toError(answer))
      else pending?.resolve(answer)
    })
    worker.on('error', (error: Error) => {
      cause = error
    })
    worker.on('exit', (exitCode) => {
      if (slot.worker !== worker) return
      slot.worker = undefined
      const detail = cause === undefined ? '' : `: ${cause.message}`
      const retryable = cause?.code !== 'ERR_WORKER_OUT_OF_MEMORY'
      this.#finish(slot)?.reject(new RubatoError('internal', `text worker died (exit code ${exitCode}) while it ran this job${detail}`, { retryable, cause }))
    })
    return worker
  }

  /** Frees the slot for the next job in line and returns the job it ran. */
  #finish(slot: Slot): Pending | undefined {
    const pending = slot.running
    clearTimeout(slot.deadline)
    slot.running = undefined
    slot.worker?.unref()
    const next = this.#closed ? undefined : this.#queue.shift()
    if (next !== undefined) this.#start(slot, next)
    return pending
  }

  /** Ends the slot's thread and fails its job; the next job starts a fresh thread. */
  async #endWorker(slot: Slot, reason: RubatoError): Promise<void> {
    const { worker } = slot
    slot.worker = undefined
    this.#finish(slot)?.reject(reason)
    await worker?.terminate()
  }
}
