// What a model is called in a cluster, known without loading it: routers need the name, but no engine.
import { InvalidArgument } from '@rubato/config'
import { loadCheckpoint, modelFingerprint, weightsDigest } from '../checkpoint/index.ts'
import type { Checkpoint } from '../checkpoint/index.ts'
import { GRAPH_VERSION } from '../graph/decoder.ts'
import { cpuKernelClass } from './kernel-class.ts'
import type { EngineOptions } from './options.ts'
import type { EngineShape } from './step.ts'

export type IdentityOptions = Pick<EngineOptions, 'modelDir' | 'dtype' | 'textDigest' | 'eosTokenIds' | 'maxModelLen' | 'blockSize' | 'cellTokens' | 'cacheDir'>
export type ModelIdentity = Pick<EngineShape, 'modelFingerprint' | 'vocabSize' | 'maxModelLen' | 'eosTokenIds'>

/**
 * As an engine with the same options would say it on a CPU of this class. Throws CheckpointError or InvalidArgument as opening
 * that would.
 */
export async function identifyModel(options: IdentityOptions, kernelClass: string = cpuKernelClass()): Promise<ModelIdentity> {
  const checkpoint = await loadCheckpoint(options.modelDir)
  return identityOf(options, checkpoint, { digest: await weightsDigest(checkpoint, options.cacheDir), kernelClass })
}

export function identityOf(options: IdentityOptions, checkpoint: Checkpoint, { digest, kernelClass }: { readonly digest: string; readonly kernelClass: string }): ModelIdentity {
  const { config } = checkpoint
  return {
    modelFingerprint: modelFingerprint({
      config,
      weightsDigest: digest,
      tokenizerDigest: options.textDigest,
      templateDigest: null,
      dtype: options.dtype,
      blockSize: options.blockSize,
      cellTokens: options.cellTokens,
      graphVersion: String(GRAPH_VERSION),
      provider: 'cpu',
      kernelClass,
    }),
    vocabSize: config.vocabSize,
    maxModelLen: modelLength(options, checkpoint),
    eosTokenIds: options.eosTokenIds ?? config.eosTokenIds,
  }
}

function modelLength(options: IdentityOptions, checkpoint: Checkpoint): number {
  const most = checkpoint.config.maxPositions
  if (options.maxModelLen !== null && options.maxModelLen > most) throw new InvalidArgument('max-model-len', `is ${options.maxModelLen}, but ${checkpoint.dir} was trained for ${most} positions`)
  return options.maxModelLen ?? most
}
