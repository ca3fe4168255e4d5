// The synthetic engine in place of a real one: the same shape for the same options, so that routers, tokenizers and KV links
// see no difference.
import type { EngineShape } from '@rubato/model'
import type { ModelConfig } from '@rubato/model/checkpoint'
import type { EngineOptions } from '@rubato/model/engine'
import type { StepCostModel } from '@rubato/policy'
import { SyntheticEngine } from './synthetic-engine.ts'
import type { StepTime } from './synthetic-engine.ts'

export interface OpenSyntheticOptions {
  /** As a real engine would be opened with. */
  readonly engine: Pick<EngineOptions, 'textDigest' | 'eosTokenIds' | 'maxModelLen' | 'blockSize' | 'cellTokens' | 'kvCacheBytes'>
  /** Of the checkpoint whose tokenizer is served. */
  readonly config: ModelConfig
  readonly time: StepTime
  /** Stands for the model in dispatch pools; only equal ones work together. @default made of the shape, prefixed `synthetic-` */
  readonly modelFingerprint?: string
  /** A prompt that holds this token kills the engine. @default none */
  readonly poisonTokenId?: number | null
}

const BYTES_PER_NUMBER = 4

/** What a float32 engine with these options plans with. */
export function syntheticShape({ engine, config, modelFingerprint }: Omit<OpenSyntheticOptions, 'time' | 'poisonTokenId'>): EngineShape {
  const { blockSize, cellTokens, textDigest } = engine
  const blockBytes = config.numLayers * 2 * config.numKvHeads * config.headDim * blockSize * BYTES_PER_NUMBER
  return {
    modelFingerprint: modelFingerprint ?? `synthetic-${textDigest.slice(0, 16)}-v${config.vocabSize}-b${blockSize}x${blockBytes}-c${cellTokens}`,
    blockSize,
    cellTokens,
    numBlocks: Math.max(1, Math.floor(engine.kvCacheBytes / blockBytes)),
    blockBytes,
    vocabSize: config.vocabSize,
    maxModelLen: Math.min(engine.maxModelLen ?? config.maxPositions, config.maxPositions),
    eosTokenIds: engine.eosTokenIds ?? config.eosTokenIds,
    replay: 'cells',
  }
}

export function openSyntheticEngine({ time, poisonTokenId = null, ...shape }: OpenSyntheticOptions): SyntheticEngine {
  return new SyntheticEngine({ shape: syntheticShape(shape), time, poisonTokenId })
}

/** What batching and dispatch predict with for an engine of this time: exact for a predicted one, one run per step for a fixed one. */
export function syntheticCostModel(time: StepTime): StepCostModel {
  if (time.kind === 'predicted') return time.costModel
  const least = 1e-3
  return {
    decode: { fixedMs: Math.max(time.stepMs, least), perSequenceMs: 0, perNodeMs: 0, perContextTokenMs: 0 },
    cell: { fixedMs: least, perTokenMs: 0, perPairMs: 0 },
    correctionRatio: 1,
  }
}

const DEFAULT_STEP_MS = 5

/** What `--engine synthetic[:MS]` means; null: 5 ms a step. */
export function fixedStepTime(stepMs: number | null): StepTime {
  return { kind: 'fixed', stepMs: stepMs ?? DEFAULT_STEP_MS }
}
