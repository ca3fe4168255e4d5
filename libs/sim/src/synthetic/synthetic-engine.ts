// An engine without a model, in real time: it takes as long as it is told and computes next to nothing. For benchmarks of
// everything around engines (transport, routers, scale) and for fault drills, on any machine.
//
// 1. Commands run strictly one after another; a step ends no earlier than its time after it began.
// 2. A failed command is the engine's death: every pending and later command rejects with `engine_failed`.
import type { Scheduler } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import type { Engine, EngineCommand, EngineResult, EngineShape, StepCommand } from '@rubato/model'
import { predictStepMs } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'
import { stepWork } from '../engine/step-work.ts'
import { SyntheticModel } from './synthetic-model.ts'
import type { SyntheticModelOptions } from './synthetic-model.ts'

export type StepTime =
  /** Every step takes as long, whatever is in it. */
  | { readonly kind: 'fixed'; readonly stepMs: number }
  | { readonly kind: 'predicted'; readonly costModel: StepCostModel }

export interface SyntheticEngineOptions extends SyntheticModelOptions {
  readonly shape: EngineShape
  readonly time: StepTime
  /** @default real time */
  readonly scheduler?: Scheduler
}

interface Pending {
  readonly command: EngineCommand
  readonly resolve: (result: EngineResult) => void
  readonly reject: (error: Error) => void
}

const REAL_TIME: Scheduler = {
  nowMs: () => performance.now(),
  schedule(delayMs, callback) {
    if (delayMs <= 0) {
      const immediate = setImmediate(callback)
      return () => clearImmediate(immediate)
    }
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

export class SyntheticEngine implements Engine {
  readonly closed: Promise<Error | null>
  readonly #model: SyntheticModel
  readonly #time: StepTime
  readonly #scheduler: Scheduler
  /** The first one is running. */
  readonly #pending: Pending[] = []
  readonly #end: (error: Error | null) => void
  #ended: Error | null = null
  #isClosing = false
  /** How much later than asked the last timer fired: the next step is that much shorter, so that the mean holds. */
  #lateMs = 0

  constructor({ shape, time, scheduler = REAL_TIME, ...model }: SyntheticEngineOptions) {
    const { promise, resolve } = Promise.withResolvers<Error | null>()
    this.closed = promise
    this.#end = resolve
    this.#model = new SyntheticModel(shape, model)
    this.#time = time
    this.#scheduler = scheduler
  }

  get shape(): EngineShape {
    return this.#model.shape
  }

  execute(command: EngineCommand): Promise<EngineResult> {
    if (this.#ended !== null || this.#isClosing) return Promise.reject(this.#ended ?? new RubatoError('engine_failed', 'the engine is closed'))
    return new Promise((resolve, reject) => {
      this.#pending.push({ command, resolve, reject })
      if (this.#pending.length === 1) this.#begin()
    })
  }

  /** Lets what was asked for finish. Idempotent. */
  async close(): Promise<void> {
    if (this.#ended !== null) return
    this.#isClosing = true
    if (this.#pending.length === 0) this.#end(null)
    await this.closed
  }

  /** Dies as a crash would: for fault drills. */
  kill(): void {
    this.#fail(new Error('killed'))
  }

  #begin(): void {
    const first = this.#pending[0]
    if (first === undefined) return
    const startMs = this.#scheduler.nowMs()
    const durationMs = first.command.kind === 'step' ? this.#durationMs(first.command) : 0
    const waitMs = Math.max(0, durationMs - this.#lateMs)
    this.#scheduler.schedule(waitMs, () => {
      if (this.#ended !== null) return
      const tookMs = this.#scheduler.nowMs() - startMs
      this.#lateMs = durationMs === 0 ? 0 : Math.min(durationMs / 2, Math.max(0, tookMs - waitMs))
      this.#finish(first, tookMs)
    })
  }

  #finish({ command, resolve }: Pending, tookMs: number): void {
    let result: EngineResult
    try {
      result = this.#model.apply(command)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
      return
    }
    this.#pending.shift()
    resolve(result.kind === 'step' ? { ...result, stepMs: tookMs, runMs: tookMs } : result)
    if (this.#pending.length > 0) this.#begin()
    else if (this.#isClosing) this.#end(null)
  }

  #fail(cause: Error): void {
    if (this.#ended !== null) return
    const error = new RubatoError('engine_failed', `the engine is gone: ${cause.message}`, { cause, retryable: true })
    this.#ended = error
    for (const { reject } of this.#pending) reject(error)
    this.#pending.length = 0
    this.#end(this.#isClosing ? null : error)
  }

  #durationMs(command: StepCommand): number {
    if (this.#time.kind === 'fixed') return this.#time.stepMs
    const admitted = new Map(command.admit.map((spec) => [spec.handle, spec.promptIds.length + spec.emittedIds.length]))
    return predictStepMs(this.#time.costModel, stepWork(command, (handle) => admitted.get(handle) ?? this.#model.contextTokens(handle)))
  }
}
