// The engines of simulated instances: what they compute and how it is checked.
import type { EngineResult, EngineShape } from '@rubato/model'
import { engineModel, LightEngine } from '@rubato/sim'
import type { EngineModel } from '@rubato/sim'
import { memoryDraft, MemoryEngine } from '@rubato/testing/engine'
import type { SimClusterOptions, SimInstanceSpec } from '../options.ts'

export interface ModelledEngine {
  readonly model: EngineModel
  /** Sequences that it holds. */
  readonly numLive: () => number
}

/** The shape that its instance plans with. */
export function shapeOf({ shape, drafts = null }: SimInstanceSpec): EngineShape {
  return { ...shape, canDraft: drafts !== null }
}

/** `onProcessDeath` runs when a command is the death of the whole process. */
export function openEngine(spec: SimInstanceSpec, { engine, deathOf }: Pick<SimClusterOptions, 'engine' | 'deathOf'>, onProcessDeath: () => void): ModelledEngine {
  const opened = engine === 'checked' ? checkedEngine(spec) : lightEngine(spec)
  return deathOf === undefined ? opened : { ...opened, model: mortal(opened.model, deathOf, onProcessDeath) }
}

function checkedEngine({ shape, drafts = null }: SimInstanceSpec): ModelledEngine {
  const memory = new MemoryEngine(shape, { drafts: drafts === null ? null : { goodRatio: drafts.goodRatio } })
  return { model: engineModel((command) => memory.apply(command)), numLive: () => memory.numLive }
}

function lightEngine({ shape, drafts = null }: SimInstanceSpec): ModelledEngine {
  const engine = new LightEngine(shape, drafts === null ? null : (wish, at, nextToken) => memoryDraft(wish, { goodRatio: drafts.goodRatio }, at, nextToken))
  return { model: engine, numLive: () => engine.numLive }
}

/** A death that was asked for, unlike anything else that an engine throws. */
export class AskedDeath extends Error {
  override readonly name = 'AskedDeath'
}

function mortal(model: EngineModel, deathOf: NonNullable<SimClusterOptions['deathOf']>, onProcessDeath: () => void): EngineModel {
  return {
    begin: (command) => model.begin(command),
    apply(command): EngineResult {
      const death = deathOf(command)
      if (death === 'process') onProcessDeath()
      if (death !== null) throw new AskedDeath('killed by a command')
      return model.apply(command)
    },
  }
}
