// What a router needs of its model, none of which takes an engine: tokenizer, sampling defaults, and the model's name in
// the cluster.
import { statSync } from 'node:fs'
import path from 'node:path'
import type { ModelSettings, RoutingSettings } from '@rubato/config'
import type { EngineShape } from '@rubato/model'
import { loadCheckpoint, loadGenerationDefaults } from '@rubato/model/checkpoint'
import { loadTextModel } from '@rubato/model/text'
import type { TextModel } from '@rubato/model/text'
import { textStreamsOf } from '@rubato/service-router'
import type { SamplingDefaults, ServedModel } from '@rubato/service-router'

export type ServedModelSettings = ModelSettings & RoutingSettings

export interface ModelText {
  readonly text: TextModel
  readonly vocabSize: number
  readonly defaults: SamplingDefaults
}

const NEUTRAL: SamplingDefaults = { temperature: null, topP: null, topK: null }

async function samplingDefaults({ generationConfig, modelDir }: ServedModelSettings): Promise<SamplingDefaults> {
  if (generationConfig === 'vllm') return NEUTRAL
  return loadGenerationDefaults(generationConfig === 'auto' ? modelDir : path.resolve(generationConfig))
}

/** Throws CheckpointError when the directory cannot be served, before an engine is started for it. */
export async function loadModelText(settings: ServedModelSettings): Promise<ModelText> {
  const checkpoint = await loadCheckpoint(settings.modelDir)
  const template = settings.chatTemplate === null ? {} : { chatTemplate: settings.chatTemplate }
  const text = loadTextModel(settings.modelDir, { ...template, vocabSize: checkpoint.config.vocabSize })
  return { text, vocabSize: checkpoint.config.vocabSize, defaults: await samplingDefaults(settings) }
}

/** `identity` as an engine says it, or as modelIdentity knows it without one. */
export function servedModel(settings: ServedModelSettings, { text, defaults }: ModelText, identity: Pick<EngineShape, 'modelFingerprint' | 'maxModelLen' | 'vocabSize' | 'eosTokenIds'>): ServedModel {
  return {
    id: settings.servedModelName,
    fingerprint: identity.modelFingerprint,
    maxModelLen: identity.maxModelLen,
    vocabSize: identity.vocabSize,
    eosTokenIds: identity.eosTokenIds,
    createdS: Math.floor(statSync(path.join(settings.modelDir, 'config.json')).mtimeMs / 1000),
    defaults,
    text: textStreamsOf(text),
  }
}
