// What the embedded cluster knows of its model before any engine runs: text machinery, defaults, and engine options.
import { statSync } from 'node:fs'
import path from 'node:path'
import type { ServeConfig } from '@rubato/config'
import { loadCheckpoint, loadGenerationDefaults } from '@rubato/model/checkpoint'
import type { EngineOptions } from '@rubato/model/engine'
import { loadTextModel } from '@rubato/model/text'
import type { TextModel } from '@rubato/model/text'
import { textStreamsOf } from '@rubato/service-router'
import type { SamplingDefaults, ServedModel } from '@rubato/service-router'
import type { EngineShape } from '@rubato/model'

export interface ModelText {
  readonly text: TextModel
  readonly defaults: SamplingDefaults
}

const NEUTRAL: SamplingDefaults = { temperature: null, topP: null, topK: null }

async function samplingDefaults(config: ServeConfig): Promise<SamplingDefaults> {
  if (config.generationConfig === 'vllm') return NEUTRAL
  return loadGenerationDefaults(config.generationConfig === 'auto' ? config.modelDir : path.resolve(config.generationConfig))
}

/** Throws CheckpointError when the directory cannot be served, before an engine is started for it. */
export async function loadModelText(config: ServeConfig): Promise<ModelText> {
  const checkpoint = await loadCheckpoint(config.modelDir)
  const template = config.chatTemplate === null ? {} : { chatTemplate: config.chatTemplate }
  const text = loadTextModel(config.modelDir, { ...template, vocabSize: checkpoint.config.vocabSize })
  return { text, defaults: await samplingDefaults(config) }
}

export function engineOptions(config: ServeConfig, text: TextModel): EngineOptions {
  return {
    modelDir: config.modelDir,
    dtype: config.dtype,
    textDigest: text.digest,
    eosTokenIds: null,
    maxModelLen: config.maxModelLen,
    blockSize: config.blockSize,
    cellTokens: config.prefillCellTokens,
    kvCacheBytes: config.kvCacheBytes,
    intraOpThreads: config.intraOpThreads,
    cacheDir: config.cacheDir,
  }
}

export function servedModel(config: ServeConfig, { text, defaults }: ModelText, shape: EngineShape): ServedModel {
  return {
    id: config.servedModelName,
    fingerprint: shape.modelFingerprint,
    maxModelLen: shape.maxModelLen,
    vocabSize: shape.vocabSize,
    eosTokenIds: shape.eosTokenIds,
    createdS: Math.floor(statSync(path.join(config.modelDir, 'config.json')).mtimeMs / 1000),
    defaults,
    text: textStreamsOf(text),
  }
}
