// The `engine` effect in virtual time: what a step yields comes from a model of an engine, how long it takes from a timer.
// Commands run strictly one after another, as on the live engine, and cannot be taken back once given.
import { done, effectFailure } from '@rubato/actor'
import type { EffectPort, EffectRun, Outcome, Scheduler } from '@rubato/actor'
import type { EngineEffect } from '@rubato/instance'
import type { DraftWish, EngineCommand, EngineResult } from '@rubato/model'
import type { StepTimer } from '../cost/step-timer.ts'
import type { RandomStream } from '../random-stream.ts'
import type { EngineModel } from './engine-model.ts'

export interface SimulatedEngineOptions {
  /** Of the process that it runs in. */
  readonly scheduler: Scheduler
  readonly timer: StepTimer
  readonly model: EngineModel
  /** Draws the jitter. */
  readonly random: RandomStream
  /** Step times vary by up to this share either way. Default 0. */
  readonly jitterRatio?: number
  /** Time to export or install one block. Default 0.02. */
  readonly blockCopyMs?: number
  /** Time of drafting so many trees, behind the step. Default: none. */
  readonly draftMs?: (wish: DraftWish) => number
  /** Commands in flight, the running one included. Default 32. */
  readonly limit?: number
  /** Called once: what the model threw, or what it was killed with. */
  readonly onDeath?: (error: unknown) => void
}

const DEFAULT_LIMIT = 32
const DEFAULT_BLOCK_COPY_MS = 0.02

interface Pending {
  readonly command: EngineCommand
  readonly complete: (outcome: Outcome) => void
}

/** The `engine` port of one engine. Completes with an EngineResult, or fails with `engine_failed` for good. */
export class SimulatedEngine implements EffectPort<EngineEffect> {
  readonly limit: number
  readonly #options: SimulatedEngineOptions
  /** The first one is running. */
  readonly #pending: Pending[] = []
  /** null: it lives. */
  #failure: Outcome | null = null

  constructor(options: SimulatedEngineOptions) {
    this.#options = options
    this.limit = options.limit ?? DEFAULT_LIMIT
  }

  perform({ command }: EngineEffect, run: EffectRun): void {
    this.#add({ command, complete: (outcome) => run.complete(outcome) })
  }

  /** Forgets every sequence, once what was asked for before has ended: for an actor that starts anew on this engine. */
  reset(): void {
    this.#add({ command: { kind: 'reset' }, complete: () => {} })
  }

  /** Dies as a crash would: what runs and what comes fails. */
  kill(error: Error): void {
    this.#die(error)
  }

  #add(pending: Pending): void {
    if (this.#failure !== null) return pending.complete(this.#failure)
    this.#pending.push(pending)
    if (this.#pending.length === 1) this.#beginFirst()
  }

  #beginFirst(): void {
    const first = this.#pending[0]
    if (first === undefined) return
    const { command, complete } = first
    const draftMs = command.kind === 'step' && command.draft !== undefined ? (this.#options.draftMs?.(command.draft) ?? 0) : 0
    const durationMs = this.#alive(() => this.#durationMs(command))
    if (durationMs === null) return
    this.#options.scheduler.schedule(durationMs + draftMs, () => {
      if (this.#failure !== null) return
      const result = this.#alive(() => this.#options.model.apply(command))
      if (result === null) return
      this.#pending.shift()
      // The next command begins before the actor hears of this one's end: the engine waits for nobody.
      this.#beginFirst()
      complete(done(timed(result, durationMs, draftMs)))
    })
  }

  #durationMs(command: EngineCommand): number {
    const { timer, model, random, jitterRatio = 0, blockCopyMs = DEFAULT_BLOCK_COPY_MS } = this.#options
    if (command.kind === 'reset') return 0
    if (command.kind !== 'step') return blockCopyMs * command.blockIds.length
    const plainMs = timer.stepMs(model.begin(command))
    return jitterRatio === 0 ? plainMs : plainMs * (1 + jitterRatio * random.between(-1, 1))
  }

  /** What the model says; null: it threw, which was the engine's death. */
  #alive<T>(ask: () => T): T | null {
    try {
      return ask()
    } catch (error) {
      this.#die(error)
      return null
    }
  }

  #die(error: unknown): void {
    if (this.#failure !== null) return
    this.#failure = { kind: 'failed', error: { code: 'engine_failed', message: effectFailure(error).message, retryable: false } }
    for (const { complete } of this.#pending.splice(0)) complete(this.#failure)
    this.#options.onDeath?.(error)
  }
}

/** The command's result with its virtual times in place of whatever the model put there. */
function timed(result: EngineResult, durationMs: number, draftMs: number): EngineResult {
  if (result.kind !== 'step') return result
  const { stepId, tokens, drafts } = result
  const times = { stepMs: durationMs, runMs: durationMs, cpuMs: durationMs, runCpuMs: durationMs }
  if (drafts === undefined) return { kind: 'step', stepId, tokens, ...times }
  return { kind: 'step', stepId, tokens, ...times, drafts: { ...drafts, draftMs, draftCpuMs: draftMs } }
}
