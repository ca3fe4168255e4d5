// The `engine` effect over a live engine.
import { done } from '@rubato/actor'
import type { EffectPort, EffectTable } from '@rubato/actor'
import type { EngineEffect } from '@rubato/instance'
import type { Engine } from '@rubato/model'

/** One step, a draft, and what waits to be installed after it (libs/instance, hand-off). */
const LIMIT = 32

/**
 * The `engine` port: executes the effect's command and completes with its EngineResult, or fails with `engine_failed`,
 * which means that the engine is gone. A command that was cancelled still runs to its end and holds its slot: the
 * engine cannot take it back. `onInstalled` gets the bytes of installed blocks, which nobody reads any more.
 */
export function engineEffects(engine: Engine, onInstalled: (bytes: Uint8Array) => void = () => {}): EffectTable {
  const port: EffectPort<EngineEffect> = {
    limit: LIMIT,
    perform({ command }, run) {
      engine.execute(command).then(
        (result) => {
          if (command.kind === 'install-blocks') onInstalled(command.bytes)
          run.complete(done(result))
        },
        (error: unknown) => {
          const message = error instanceof Error ? error.message : String(error)
          run.complete({ kind: 'failed', error: { code: 'engine_failed', message, retryable: false } })
        },
      )
    },
  }
  return { engine: port }
}
