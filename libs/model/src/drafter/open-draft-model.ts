// Opens a draft model beside a target, with KV of its own: a small one on the kernels, any other in an ONNX session.
import { InvalidArgument } from '@rubato/config'
import { loadCheckpoint } from '../checkpoint/index.ts'
import type { Checkpoint } from '../checkpoint/index.ts'
import { Arena, arenaBytes, arenaShape, blockBytes } from '../engine/arena.ts'
import { RunInputs } from '../engine/run-inputs.ts'
import { DecoderSession } from '../engine/session.ts'
import { buildDecoder } from '../graph/decoder.ts'
import { CheckpointWeights } from '../graph/weights.ts'
import { DraftModel } from './draft-model.ts'
import type { DraftRunner } from './draft-runner.ts'
import { GraphRunner } from './graph-runner.ts'
import { KernelDecoder } from './decoder/kernel-decoder.ts'
import { KernelRunner } from './kernel-runner.ts'

export interface DraftModelOptions {
  readonly modelDir: string
  /** Of the target: a draft for another vocabulary is refused. */
  readonly vocabSize: number
  readonly maxModelLen: number
  readonly blockSize: number
  /** KV of the draft, for all sequences together; at least one of maxModelLen. */
  readonly kvCacheBytes: number
  /** Of a draft that runs in an ONNX session. */
  readonly intraOpThreads: number
}

export interface OpenedDraftModel {
  readonly model: DraftModel
  readonly numParameters: number
  readonly close: () => Promise<void>
}

export interface OpenedRunner {
  readonly runner: DraftRunner
  readonly close: () => Promise<void>
}

/** Deepest tree. */
const MAX_DEPTH = 64
/** Past this many parameters a level is bound by arithmetic, not by calls, and ONNX Runtime has the wider vectors. */
const MOST_KERNEL_PARAMETERS = 8_000_000
const MOST_KERNEL_KV_BYTES = 2 ** 30

/** Throws CheckpointError, or InvalidArgument whose field is `draft` when the checkpoint cannot draft for the target. */
export async function openDraftModel(options: DraftModelOptions): Promise<OpenedDraftModel> {
  const checkpoint = await loadCheckpoint(options.modelDir)
  const { vocabSize } = checkpoint.config
  if (vocabSize !== options.vocabSize) throw new InvalidArgument('draft', `${options.modelDir} has ${vocabSize} token ids, the model ${options.vocabSize}; a draft needs the model's own tokenizer`)
  const { runner, close } = suitsKernels(checkpoint, options) ? openKernelRunner(checkpoint, options) : await openGraphRunner(checkpoint, options)
  return { model: new DraftModel(runner), numParameters: checkpoint.numParameters, close }
}

function suitsKernels({ config, numParameters }: Checkpoint, { kvCacheBytes }: DraftModelOptions): boolean {
  return numParameters <= MOST_KERNEL_PARAMETERS && kvCacheBytes <= MOST_KERNEL_KV_BYTES && config.headDim % 4 === 0
}

/** Blocks of a cache that holds at least one sequence of maxModelLen and its tree. */
function kvSize({ config }: Checkpoint, { kvCacheBytes, blockSize, maxModelLen }: DraftModelOptions): { readonly maxModelLen: number; readonly numBlocks: number } {
  const longest = Math.min(maxModelLen, config.maxPositions)
  const leastBlocks = Math.ceil((longest + MAX_DEPTH) / blockSize)
  return { maxModelLen: longest, numBlocks: Math.max(leastBlocks, Math.floor(kvCacheBytes / blockBytes(arenaShape(config, blockSize, 0)))) }
}

/** The draft on the kernels: float32, on the calling thread. */
export function openKernelRunner(checkpoint: Checkpoint, options: DraftModelOptions): OpenedRunner {
  const { blockSize } = options
  const { maxModelLen, numBlocks } = kvSize(checkpoint, options)
  const decoder = new KernelDecoder(checkpoint, { blockSize, numBlocks, maxTokens: maxModelLen + MAX_DEPTH })
  return { runner: new KernelRunner({ decoder, blockSize, numBlocks, maxModelLen }), close: () => Promise.resolve() }
}

/** The draft on the decoder graph. */
export async function openGraphRunner(checkpoint: Checkpoint, options: DraftModelOptions): Promise<OpenedRunner> {
  const { config } = checkpoint
  const { blockSize } = options
  const { maxModelLen, numBlocks } = kvSize(checkpoint, options)
  const shape = arenaShape(config, blockSize, numBlocks)
  const arena = new Arena(shape, new SharedArrayBuffer(arenaBytes(shape)))
  const weights = new CheckpointWeights(checkpoint)
  const graph = buildDecoder(config, weights, { blockSize, maxModelLen, numSlots: arena.numSlots })
  const session = await DecoderSession.open(graph, { weightsFolder: weights.folder, intraOpThreads: options.intraOpThreads })
  const inputs = new RunInputs(config, arena, maxModelLen)
  const runner = new GraphRunner({ arena, inputs, run: (feeds) => session.run(feeds), vocabSize: config.vocabSize, maxModelLen })
  return { runner, close: () => session.close() }
}
