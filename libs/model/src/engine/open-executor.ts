// From a checkpoint directory to an executor that is ready for its first step.
import path from 'node:path'
import process from 'node:process'
import { InvalidArgument } from '@rubato/config'
import { loadCheckpoint, weightsDigest } from '../checkpoint/index.ts'
import type { Checkpoint } from '../checkpoint/index.ts'
import { openDraftModel } from '../drafter/open-draft-model.ts'
import type { OpenedDraftModel } from '../drafter/open-draft-model.ts'
import { buildDecoder } from '../graph/decoder.ts'
import { CheckpointWeights } from '../graph/weights.ts'
import type { WeightSource } from '../graph/weights.ts'
import { openInt8Weights } from '../quantization/quantized-weights.ts'
import { Arena, arenaBytes, arenaShape, blockBytes } from './arena.ts'
import { StepDrafting } from './drafting.ts'
import { StepExecutor } from './executor.ts'
import { cpuKernelClass } from './kernel-class.ts'
import { identityOf } from './model-identity.ts'
import type { EngineLoad, EngineOptions, EngineProgress } from './options.ts'
import { RunInputs } from './run-inputs.ts'
import { DecoderSession } from './session.ts'
import type { EngineShape } from './step.ts'
import { assertZeroCopyInputs } from './zero-copy.ts'

/**
 * CPU time of the calling thread in milliseconds, user and system. The process-wide call comes first because it brings
 * the thread's own count up to date; alone, that misses everything since the last timer tick.
 */
function threadCpuMs(): number {
  process.cpuUsage()
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function checkSizes(options: EngineOptions): void {
  if (options.blockSize < 8 || options.blockSize % 8 !== 0) throw new InvalidArgument('block-size', `is ${options.blockSize}; a multiple of 8 is needed`)
  if (options.cellTokens % options.blockSize !== 0) throw new InvalidArgument('prefill-cell-tokens', `is ${options.cellTokens}; a multiple of the block size (${options.blockSize}) is needed`)
}

function numBlocks(options: EngineOptions, bytesPerBlock: number, maxModelLen: number): number {
  const blocks = Math.floor(options.kvCacheBytes / bytesPerBlock) - 1
  const least = Math.ceil(maxModelLen / options.blockSize) + 1
  if (blocks >= least) return blocks
  const needed = (least + 1) * bytesPerBlock
  throw new InvalidArgument('kv-cache-memory-bytes', `is ${options.kvCacheBytes}, but one sequence of ${maxModelLen} tokens needs ${needed}; raise it or lower --max-model-len`)
}

async function openWeights(options: EngineOptions, checkpoint: Checkpoint, digest: string, onProgress: EngineProgress): Promise<WeightSource> {
  if (options.dtype === 'float32') return new CheckpointWeights(checkpoint)
  return openInt8Weights(checkpoint, path.join(options.cacheDir, 'int8', digest), (ratio) => onProgress('quantising weights', ratio))
}

export interface OpenedExecutor {
  readonly executor: StepExecutor
  readonly load: EngineLoad
  readonly close: () => Promise<void>
}

/** Throws CheckpointError, InvalidArgument or RubatoError `engine_load` / `engine_self_test`, each with what to do about it. */
export async function openExecutor(options: EngineOptions, onProgress: EngineProgress): Promise<OpenedExecutor> {
  const startMs = performance.now()
  checkSizes(options)
  const checkpoint = await loadCheckpoint(options.modelDir)
  onProgress('checking weights', null)
  const digest = await weightsDigest(checkpoint, options.cacheDir)
  await assertZeroCopyInputs()
  const weights = await openWeights(options, checkpoint, digest, onProgress)
  const identity = identityOf(options, checkpoint, { digest, kernelClass: cpuKernelClass() })
  const { maxModelLen } = identity
  const blocks = arenaShape(checkpoint.config, options.blockSize, 0)
  const kvBytesPerBlock = blockBytes(blocks)
  const shape = { ...blocks, numBlocks: numBlocks(options, kvBytesPerBlock, maxModelLen) }
  const arena = new Arena(shape, new SharedArrayBuffer(arenaBytes(shape)))
  onProgress('loading the model', null)
  const model = buildDecoder(checkpoint.config, weights, { blockSize: options.blockSize, maxModelLen, numSlots: arena.numSlots })
  const session = await DecoderSession.open(model, { weightsFolder: weights.folder, intraOpThreads: options.intraOpThreads })
  const draft = await openDraft(options, { vocabSize: identity.vocabSize, maxModelLen }, onProgress).catch(async (error: unknown) => {
    await session.close()
    throw error
  })
  const engineShape: EngineShape = {
    ...identity,
    blockSize: options.blockSize,
    cellTokens: options.cellTokens,
    numBlocks: shape.numBlocks,
    blockBytes: kvBytesPerBlock,
    replay: options.dtype === 'float32' ? 'cells' : 'steps',
    canDraft: draft !== null,
    isCpuBound: true,
  }
  const inputs = new RunInputs(checkpoint.config, arena, maxModelLen)
  const clocks = { wallMs: () => performance.now(), cpuMs: threadCpuMs }
  const drafting = draft === null ? null : new StepDrafting({ ...clocks, model: draft.model, maxModelLen })
  const executor = new StepExecutor({ ...clocks, shape: engineShape, arena, inputs, run: (feeds) => session.run(feeds), drafting })
  const { architecture } = checkpoint.config
  const draftParameters = draft?.numParameters ?? null
  const load: EngineLoad = { shape: engineShape, architecture, numParameters: checkpoint.numParameters, kvBytesPerBlock, loadMs: performance.now() - startMs, draftParameters }
  return {
    executor,
    load,
    close: async () => {
      await draft?.close()
      await session.close()
    },
  }
}

/** Share of the target's KV memory that a draft's may take on top; what it cannot hold is computed again. */
const DRAFT_KV_RATIO = 0.25
const MAX_DRAFT_KV_BYTES = 2 ** 28

async function openDraft(options: EngineOptions, target: { readonly vocabSize: number; readonly maxModelLen: number }, onProgress: EngineProgress): Promise<OpenedDraftModel | null> {
  const { draft: modelDir = null, blockSize, kvCacheBytes, intraOpThreads } = options
  if (modelDir === null) return null
  onProgress('loading the draft model', null)
  return openDraftModel({ modelDir, ...target, blockSize, kvCacheBytes: Math.min(MAX_DRAFT_KV_BYTES, Math.floor(kvCacheBytes * DRAFT_KV_RATIO)), intraOpThreads })
}
