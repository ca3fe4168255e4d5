// An engine that notes what each of its steps did and cost, for as long as it is told to.
import type { Engine, EngineCommand, EngineResult } from '@rubato/model'

export interface RecordedStep {
  readonly numDecodes: number
  readonly numCells: number
  /** CPU time of the engine's thread for the whole step. */
  readonly cpuMs: number
  /** From the command to its result, performance.now(). */
  readonly startMs: number
  readonly endMs: number
}

export class StepRecorder implements Engine {
  readonly closed: Promise<Error | null>
  readonly #engine: Engine
  #steps: RecordedStep[] | null = null

  constructor(engine: Engine) {
    this.#engine = engine
    this.closed = engine.closed
  }

  get shape(): Engine['shape'] {
    return this.#engine.shape
  }

  /** Steps that begin from now on are noted. */
  begin(): void {
    this.#steps = []
  }

  /** What was noted since begin(); steps that have not ended are not among it. */
  end(): readonly RecordedStep[] {
    const steps = this.#steps ?? []
    this.#steps = null
    return steps
  }

  async execute(command: EngineCommand): Promise<EngineResult> {
    const steps = this.#steps
    const startMs = performance.now()
    const result = await this.#engine.execute(command)
    if (steps !== null && command.kind === 'step' && result.kind === 'step') {
      steps.push({ numDecodes: command.decodes.length, numCells: command.cells.length, cpuMs: result.cpuMs, startMs, endMs: performance.now() })
    }
    return result
  }

  close(): Promise<void> {
    return this.#engine.close()
  }
}
