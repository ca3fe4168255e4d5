// The `engine` effect over a live engine.
import { done } from '@rubato/actor'
import type { EffectPort, EffectTable } from '@rubato/actor'
import type { EngineEffect } from '@rubato/instance'
import type { Engine } from '@rubato/model'

/** One step, and transfers beside it. */
const DEFAULT_LIMIT = 8

/**
 * The `engine` port: executes the effect's command and completes with its EngineResult, or fails with `engine_failed`,
 * which means that the engine is gone. A command that was cancelled still runs to its end and holds its slot: the
 * engine cannot take it back.
 */
export function engineEffects(engine: Engine, limit = DEFAULT_LIMIT): EffectTable {
  const port: EffectPort<EngineEffect> = {
    limit,
    perform({ command }, run) {
      engine.execute(command).then(
        (result) => run.complete(done(result)),
        (error: unknown) => {
          const message = error instanceof Error ? error.message : String(error)
          run.complete({ kind: 'failed', error: { code: 'engine_failed', message, retryable: false } })
        },
      )
    },
  }
  return { engine: port }
}
