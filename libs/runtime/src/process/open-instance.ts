// What an instance runs on, as its configuration says: the engine, and policies bound to its step-time profile.
import type { EngineSettings, ModelSettings, SchedulingSettings } from '@rubato/config'
import type { Engine } from '@rubato/model'
import { OnnxEngine, loadOrMeasureProfile } from '@rubato/model/engine'
import type { EngineOptions, EngineProgress } from '@rubato/model/engine'
import { batchingPolicy, speculationPolicy } from '@rubato/policy'
import type { SpeculationPolicy, StepCostModel } from '@rubato/policy'
import type { OpenedInstance } from '../instance-host.ts'
import type { ProcessLog } from './process-log.ts'

export type InstanceSettings = ModelSettings & EngineSettings & SchedulingSettings

/** An engine of another make, which knows its own speed. */
export interface SpecialEngine {
  readonly engine: Engine
  readonly costModel: StepCostModel
}

export interface OpenInstanceParts {
  /** Digest of tokenizer and chat template. */
  readonly textDigest: string
  /** In place of the ONNX engine; null: what the configuration says is none of its business. */
  readonly openSpecial?: (settings: InstanceSettings, options: EngineOptions) => Promise<SpecialEngine | null>
  readonly onProgress: EngineProgress
  readonly log: ProcessLog
}

function engineOptions(settings: InstanceSettings, textDigest: string): EngineOptions {
  return {
    modelDir: settings.modelDir,
    dtype: settings.dtype,
    textDigest,
    eosTokenIds: null,
    maxModelLen: settings.maxModelLen,
    blockSize: settings.blockSize,
    cellTokens: settings.prefillCellTokens,
    kvCacheBytes: settings.kvCacheBytes,
    intraOpThreads: settings.intraOpThreads,
    cacheDir: settings.cacheDir,
    draft: settings.speculation.drafting === 'remote' ? null : settings.speculation.draftDir,
  }
}

/** Rejects as OnnxEngine.open and loadOrMeasureProfile do; nothing is open then. */
export async function openInstance(settings: InstanceSettings, { textDigest, openSpecial, onProgress, log }: OpenInstanceParts): Promise<OpenedInstance> {
  const options = engineOptions(settings, textDigest)
  const special = openSpecial === undefined ? null : await openSpecial(settings, options)
  const policy = policyOf(settings)
  if (special !== null) return { ...special, batching: batchingPolicy(settings.batching, special), speculation: policy }
  const engine = await OnnxEngine.open(options, onProgress)
  try {
    const { profile: mode, profileBudgetMs: budgetMs, cacheDir, intraOpThreads: threads, maxNumSeqs } = settings
    const { source, model: costModel } = await loadOrMeasureProfile({ engine, mode, budgetMs, cacheDir, threads, maxNumSeqs, onProgress })
    log.info({ source, costModel }, 'step-time profile')
    return { engine, costModel, batching: batchingPolicy(settings.batching, { costModel }), speculation: policy }
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** null: off, and no part of it runs. */
function policyOf({ speculation: { policy, proposer } }: InstanceSettings): SpeculationPolicy | null {
  return policy === 'off' ? null : speculationPolicy(policy, { proposer })
}

/** It drafts with a draft model, and not only with one of its own. */
export function mayAskSpeculators({ speculation: { policy, proposer, drafting } }: Pick<InstanceSettings, 'speculation'>): boolean {
  return policy !== 'off' && policy !== 'ngram' && proposer === 'draft' && drafting !== 'local'
}

/** Logs each stage once when it begins, and when it is done. */
export function progressLog(log: ProcessLog): EngineProgress {
  let stage = ''
  return (name, doneRatio) => {
    if (name !== stage || doneRatio === 1) log.info(doneRatio === null ? {} : { percent: Math.round(doneRatio * 100) }, name)
    stage = name
  }
}
