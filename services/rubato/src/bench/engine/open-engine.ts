// Opens an engine to be measured: an arena as large as the measurement needs, nothing else on the thread.
import { InvalidArgument } from '@rubato/config'
import { loadCheckpoint } from '@rubato/model/checkpoint'
import type { ModelConfig } from '@rubato/model/checkpoint'
import { OnnxEngine } from '@rubato/model/engine'
import type { ComputeDtype, EngineProgress } from '@rubato/model/engine'
import { EngineCpu, engineThreads } from './engine-cpu.ts'

export const BLOCK_SIZE = 64
export const CELL_TOKENS = 128

export interface BenchEngineOptions {
  readonly modelDir: string
  readonly dtype: ComputeDtype
  readonly threads: number
  readonly cacheDir: string
  /** Longest sequence; at most what the checkpoint allows. */
  readonly maxModelLen: number
  readonly numBlocks: number
  /** Checkpoint directory of a draft model. @default none */
  readonly draft?: string | null
  readonly onProgress: (text: string) => void
}

export interface BenchEngine {
  readonly engine: OnnxEngine
  readonly cpu: EngineCpu
}

/** Bytes of one block of 64 tokens: float32 keys and values of all layers. */
export function bytesPerBlock(config: ModelConfig): number {
  return 2 * config.numLayers * config.numKvHeads * BLOCK_SIZE * config.headDim * Float32Array.BYTES_PER_ELEMENT
}

/** What --quantization says. */
export function dtypeOf(quantization: string | undefined): ComputeDtype {
  if (quantization === undefined) return 'float32'
  if (quantization === 'int8') return 'int8'
  throw new InvalidArgument('quantization', `is ${quantization}; int8 is what there is`)
}

/** Longest sequence that a measurement may use: what was asked for, within what the model was trained for. */
export async function modelLength(modelDir: string, wanted: number): Promise<number> {
  const { config } = await loadCheckpoint(modelDir)
  return Math.min(wanted, config.maxPositions)
}

/** Says each stage once, however often it reports. */
function stageNames(say: (text: string) => void): EngineProgress {
  let last = ''
  return (stage) => {
    if (stage !== last) say(stage)
    last = stage
  }
}

export async function openBenchEngine(options: BenchEngineOptions): Promise<BenchEngine> {
  const { config } = await loadCheckpoint(options.modelDir)
  const before = engineThreads()
  const least = Math.ceil(options.maxModelLen / BLOCK_SIZE) + 1
  const engine = await OnnxEngine.open(
    {
      modelDir: options.modelDir,
      dtype: options.dtype,
      textDigest: '',
      eosTokenIds: null,
      maxModelLen: options.maxModelLen,
      blockSize: BLOCK_SIZE,
      cellTokens: CELL_TOKENS,
      kvCacheBytes: (Math.max(options.numBlocks, least) + 1) * bytesPerBlock(config),
      intraOpThreads: options.threads,
      cacheDir: options.cacheDir,
      draft: options.draft ?? null,
    },
    stageNames(options.onProgress),
  )
  return { engine, cpu: new EngineCpu(before) }
}
