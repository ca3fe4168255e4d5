// The `engine` effect in virtual time: what a step yields comes from a pure function, how long it takes from the cost
// model. Commands run strictly one after another, as on the live engine, and cannot be taken back once given.
import { done, effectFailure } from '@rubato/actor'
import type { EffectFailure, EffectPort, EffectRun, EffectTable, Outcome } from '@rubato/actor'
import type { EngineEffect } from '@rubato/instance'
import type { EngineCommand, EngineResult, StepCommand } from '@rubato/model'
import { predictStepMs } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'
import { ContextBook } from './context-book.ts'
import type { RandomStream } from './random-stream.ts'
import type { SimWorld } from './sim-world.ts'

export interface SimulatedEngineOptions {
  readonly world: SimWorld
  readonly costModel: StepCostModel
  /** Executes one command on the caller's engine state; a throw is the engine's death. Called when the command ends. */
  readonly apply: (command: EngineCommand) => EngineResult
  /** Names the random stream of the jitter. */
  readonly name: string
  /** Step times vary by up to this share either way. Default 0. */
  readonly jitterRatio?: number
  /** Time to export or install one block. Default 0.02. */
  readonly blockCopyMs?: number
  /** Commands in flight, the running one included. Default 8. */
  readonly limit?: number
}

const DEFAULT_LIMIT = 8
const DEFAULT_BLOCK_COPY_MS = 0.02

/** Predicted time of a step command, without jitter. contextTokens is asked for every decode. */
export function stepDurationMs(costModel: StepCostModel, command: StepCommand, contextTokens: (handle: number) => number): number {
  return predictStepMs(costModel, {
    cells: command.cells.map(({ start, count }) => ({ cellTokens: count, contextTokens: start })),
    decodes: command.decodes.map(({ handle, tree }) => ({ contextTokens: contextTokens(handle), nodes: tree?.tokenIds.length ?? 0 })),
  })
}

/** The command's result with its virtual times in place of whatever `apply` put there. */
function timed(result: EngineResult, durationMs: number): EngineResult {
  return result.kind === 'step' ? { ...result, stepMs: durationMs, runMs: durationMs, cpuMs: durationMs, runCpuMs: durationMs } : result
}

/** One engine: its queue of commands and whether it is dead. */
class SimulatedEngine implements EffectPort<EngineEffect> {
  readonly limit: number
  readonly #options: SimulatedEngineOptions
  readonly #random: RandomStream
  readonly #contexts = new ContextBook()
  /** The first one is running. */
  readonly #commands: { readonly command: EngineCommand; readonly run: EffectRun }[] = []
  #failure: EffectFailure | null = null

  constructor(options: SimulatedEngineOptions) {
    this.#options = options
    this.#random = options.world.random(`engine ${options.name}`)
    this.limit = options.limit ?? DEFAULT_LIMIT
  }

  perform({ command }: EngineEffect, run: EffectRun): void {
    this.#commands.push({ command, run })
    if (this.#commands.length === 1) this.#beginFirst()
  }

  #beginFirst(): void {
    const first = this.#commands[0]
    if (first === undefined) return
    const durationMs = this.#durationMs(first.command)
    this.#options.world.schedule(durationMs, () => {
      const outcome = this.#execute(first.command, durationMs)
      this.#commands.shift()
      // The next command begins before the actor hears of this one's end: the engine waits for nobody.
      this.#beginFirst()
      first.run.complete(outcome)
    })
  }

  #durationMs(command: EngineCommand): number {
    const { costModel, jitterRatio = 0, blockCopyMs = DEFAULT_BLOCK_COPY_MS } = this.#options
    if (command.kind !== 'step') return blockCopyMs * command.blockIds.length
    this.#contexts.begin(command)
    const plainMs = stepDurationMs(costModel, command, (handle) => this.#contexts.contextTokens(handle))
    return plainMs * (1 + jitterRatio * this.#random.between(-1, 1))
  }

  #execute(command: EngineCommand, durationMs: number): Outcome {
    try {
      if (this.#failure === null) {
        const result = this.#options.apply(command)
        if (command.kind === 'step') this.#contexts.end(command, result)
        return done(timed(result, durationMs))
      }
    } catch (error) {
      this.#failure = effectFailure(error)
    }
    return { kind: 'failed', error: { code: 'engine_failed', message: this.#failure.message, retryable: false } }
  }
}

/** The `engine` port of a fresh simulated engine. Completes with an EngineResult, or fails with `engine_failed` for good. */
export function simulatedEngine(options: SimulatedEngineOptions): EffectTable {
  return { engine: new SimulatedEngine(options) }
}
