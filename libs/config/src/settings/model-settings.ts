// Values of the model, instance and routing groups as settings, and the rules among them.
import path from 'node:path'
import { InvalidArgument } from '../errors.ts'
import type { FlagValues } from '../flags/flag.ts'
import type { CHECKPOINT_FLAGS } from '../groups/checkpoint-flags.ts'
import type { ENGINE_FLAGS, SCHEDULING_FLAGS } from '../groups/instance-flags.ts'
import type { ROUTING_FLAGS } from '../groups/routing-flags.ts'
import type { SPECULATION_FLAGS } from '../groups/speculation-flags.ts'
import type { EngineChoice, EngineSettings, ModelSettings, RoutingSettings, SchedulingSettings } from './settings.ts'
import { speculationSettings } from './speculation-settings.ts'
import { defaultCacheDir } from '../sources/machine.ts'
import type { Machine } from '../sources/machine.ts'
import type { ConfigSources, OriginOf } from '../sources/read-values.ts'

type CheckpointValues = FlagValues<typeof CHECKPOINT_FLAGS>
type SchedulingValues = FlagValues<typeof SCHEDULING_FLAGS & typeof SPECULATION_FLAGS>

const BUNDLED_MODEL = 'models/shakespeare-target'
const MAX_DEFAULT_THREADS = 8
const MAX_DEFAULT_KV_BYTES = 2 ** 30
const MAX_DEFAULT_KV_RATIO = 0.25

export function modelDirOf(model: string | null, { repoRoot }: Pick<Machine, 'repoRoot'>): string {
  return model ?? path.join(repoRoot, BUNDLED_MODEL)
}

export function modelSettings(values: CheckpointValues, { machine, env }: Pick<ConfigSources, 'machine' | 'env'>): ModelSettings {
  const modelDir = modelDirOf(values.model, machine)
  return {
    modelDir,
    servedModelName: values['served-model-name'] ?? path.basename(modelDir),
    dtype: values.quantization === 'int8' ? 'int8' : 'float32',
    device: values.device,
    engine: engineChoice(values.engine),
    chatTemplate: values['chat-template'],
    blockSize: values['block-size'],
    prefillCellTokens: values['prefill-cell-tokens'],
    maxModelLen: values['max-model-len'],
    cacheDir: values['cache-dir'] ?? defaultCacheDir(env, machine.homeDir),
  }
}

/** Instances share the machine: defaults divide cores and memory among them. */
export function machineShare(values: Pick<FlagValues<typeof ENGINE_FLAGS>, 'kv-cache-memory-bytes' | 'intra-op-threads'>, { machine }: Pick<ConfigSources, 'machine'>, numInstances: number): Pick<EngineSettings, 'kvCacheBytes' | 'intraOpThreads'> {
  const memoryShare = Math.floor((machine.totalMemoryBytes * MAX_DEFAULT_KV_RATIO) / numInstances)
  const coreShare = Math.max(1, Math.floor(machine.availableParallelism / numInstances))
  return {
    kvCacheBytes: values['kv-cache-memory-bytes'] ?? Math.min(MAX_DEFAULT_KV_BYTES, memoryShare),
    intraOpThreads: values['intra-op-threads'] ?? Math.min(MAX_DEFAULT_THREADS, coreShare),
  }
}

export function engineSettings(values: FlagValues<typeof ENGINE_FLAGS>, sources: Pick<ConfigSources, 'machine'>, numInstances: number): EngineSettings {
  return { ...machineShare(values, sources, numInstances), profile: values.profile, profileBudgetMs: values['profile-budget-secs'] * 1000 }
}

export function engineChoice(text: string): EngineChoice {
  const [kind, stepMs] = text.split(':')
  return kind === 'onnx' ? { kind } : { kind: 'synthetic', stepMs: stepMs === undefined ? null : Number(stepMs) }
}

export function schedulingSettings(values: SchedulingValues & CheckpointValues, { machine }: Pick<ConfigSources, 'machine'>, originOf: OriginOf): SchedulingSettings {
  const modelDir = modelDirOf(values.model, machine)
  return {
    speculation: speculationSettings(values, { modelDir, engine: engineChoice(values.engine).kind }, machine, originOf),
    maxNumSeqs: values['max-num-seqs'],
    maxNumBatchedTokens: values['max-num-batched-tokens'],
    enablePrefixCaching: values['enable-prefix-caching'],
    batching: values.batching,
    orphanTtlMs: values['orphan-ttl'] * 1000,
  }
}

export function routingSettings(values: FlagValues<typeof ROUTING_FLAGS>): RoutingSettings {
  return {
    generationConfig: values['generation-config'],
    seed: values.seed,
    tokenizerThreads: values['tokenizer-threads'],
    dispatch: values.dispatch,
    placement: values.placement,
    migration: values.migration,
    maxConcurrentRequests: values['max-concurrent-requests'],
    queueSize: values['queue-size'],
    queueTimeoutMs: values['queue-timeout-secs'] * 1000,
    migrationLimit: values['migration-limit'],
  }
}

/** A cell is made of whole blocks. */
export function checkCells(values: CheckpointValues, originOf: OriginOf): void {
  const cellTokens = values['prefill-cell-tokens']
  if (cellTokens % values['block-size'] === 0) return
  throw new InvalidArgument('prefill-cell-tokens', `${cellTokens} (${originOf('prefill-cell-tokens')}) must be a multiple of --block-size ${values['block-size']} (${originOf('block-size')})`)
}

/** A step holds every sequence and one cell. */
export function checkStepSizes(values: CheckpointValues & FlagValues<typeof SCHEDULING_FLAGS>, originOf: OriginOf): void {
  checkCells(values, originOf)
  const cellTokens = values['prefill-cell-tokens']
  const least = values['max-num-seqs'] + cellTokens
  if (values['max-num-batched-tokens'] >= least) return
  throw new InvalidArgument(
    'max-num-batched-tokens',
    `${values['max-num-batched-tokens']} (${originOf('max-num-batched-tokens')}) is too few: a step must hold --max-num-seqs ${values['max-num-seqs']} and one cell of --prefill-cell-tokens ${cellTokens}; use at least ${least}, or lower those`,
  )
}
