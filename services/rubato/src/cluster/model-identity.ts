// Which engine an instance runs on, and what a router that has none calls its model.
import type { ModelSettings } from '@rubato/config'
import { loadCheckpoint } from '@rubato/model/checkpoint'
import { identifyModel } from '@rubato/model/engine'
import type { EngineOptions, ModelIdentity } from '@rubato/model/engine'
import type { InstanceSettings, SpecialEngine } from '@rubato/runtime'

/** Opens `--engine synthetic`; null for the real one. */
export async function openSynthetic({ engine, modelDir }: InstanceSettings, options: EngineOptions): Promise<SpecialEngine | null> {
  if (engine.kind === 'onnx') return null
  const { fixedStepTime, openSyntheticEngine, syntheticCostModel } = await import('@rubato/sim/synthetic')
  const { config } = await loadCheckpoint(modelDir)
  const time = fixedStepTime(engine.stepMs)
  return { engine: openSyntheticEngine({ engine: options, config, time }), costModel: syntheticCostModel(time) }
}

/** As an engine with these settings would say it. Throws CheckpointError or InvalidArgument as opening that would. */
export async function modelIdentity(settings: ModelSettings, textDigest: string, instanceCpu: string | null): Promise<ModelIdentity> {
  const { engine, modelDir, dtype, maxModelLen, blockSize, prefillCellTokens: cellTokens, cacheDir } = settings
  const options = { modelDir, dtype, textDigest, eosTokenIds: null, maxModelLen, blockSize, cellTokens, cacheDir }
  if (engine.kind === 'onnx') return instanceCpu === null ? identifyModel(options) : identifyModel(options, instanceCpu)
  const { syntheticShape } = await import('@rubato/sim/synthetic')
  const { config } = await loadCheckpoint(modelDir)
  return syntheticShape({ engine: { ...options, kvCacheBytes: 0 }, config })
}
