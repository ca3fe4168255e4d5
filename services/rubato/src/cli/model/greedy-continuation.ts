// One prompt through a real engine, without router or instance: one prefill cell, then single-token steps.
import { RubatoError } from '@rubato/config'
import type { ServeConfig } from '@rubato/config'
import type { SamplingParams, StepCommand, StepResult, StepTokens } from '@rubato/model'
import { loadCheckpoint } from '@rubato/model/checkpoint'
import type { Checkpoint } from '@rubato/model/checkpoint'
import { OnnxEngine } from '@rubato/model/engine'
import { loadTextModel } from '@rubato/model/text'

export interface Continuation {
  readonly prompt: string
  readonly text: string
  readonly numTokens: number
  readonly modelFingerprint: string
  readonly loadMs: number
  readonly prefillMs: number
  /** All tokens but the first. */
  readonly decodeMs: number
}

const PROMPT = 'Once upon a time'
const MAX_NEW_TOKENS = 16
const HANDLE = 1
/** Covers a dummy block and the engine's rounding. */
const SPARE_BLOCKS = 3

const GREEDY: SamplingParams = {
  maxTokens: MAX_NEW_TOKENS,
  minTokens: 0,
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: [],
  seed: 0,
  stopTokenIds: [],
  ignoreEos: true,
  logprobs: 0,
}

/**
 * Loads the checkpoint with just enough KV memory and samples greedily past any end-of-sequence token.
 * Throws CheckpointError when it cannot be served, RubatoError `check_failed` when it computes something that is no number.
 */
export async function continueGreedily(config: ServeConfig): Promise<Continuation> {
  const checkpoint = await loadCheckpoint(config.modelDir)
  const text = loadTextModel(config.modelDir, { vocabSize: checkpoint.config.vocabSize })
  const maxModelLen = Math.min(config.prefillCellTokens, checkpoint.config.maxPositions)
  const promptIds = text.encode(PROMPT, true).slice(0, maxModelLen - 1)
  if (promptIds.length === 0) throw new RubatoError('check_failed', `${config.modelDir}: the tokenizer turned ${JSON.stringify(PROMPT)} into no tokens`)
  const engine = await OnnxEngine.open({
    modelDir: config.modelDir,
    dtype: config.dtype,
    textDigest: text.digest,
    eosTokenIds: null,
    maxModelLen,
    blockSize: config.blockSize,
    cellTokens: config.prefillCellTokens,
    kvCacheBytes: kvBytes(checkpoint, config.blockSize, maxModelLen),
    intraOpThreads: config.intraOpThreads,
    cacheDir: config.cacheDir,
  })
  try {
    const run = await generate(engine, promptIds)
    const { tokenIds, ...timing } = run
    const { modelFingerprint } = engine.shape
    return { prompt: PROMPT, text: text.decode(tokenIds), numTokens: tokenIds.length, modelFingerprint, loadMs: engine.load.loadMs, ...timing }
  } finally {
    await engine.close()
  }
}

function kvBytes({ config }: Checkpoint, blockSize: number, maxModelLen: number): number {
  const bytesPerBlock = 2 * config.numLayers * config.numKvHeads * config.headDim * blockSize * Float32Array.BYTES_PER_ELEMENT
  return (Math.ceil(maxModelLen / blockSize) + SPARE_BLOCKS) * bytesPerBlock
}

async function generate(engine: OnnxEngine, promptIds: readonly number[]): Promise<{ tokenIds: number[]; prefillMs: number; decodeMs: number }> {
  const { blockSize, maxModelLen } = engine.shape
  const maxTokens = Math.min(MAX_NEW_TOKENS, maxModelLen - promptIds.length)
  const blockIds = Array.from({ length: Math.ceil((promptIds.length + maxTokens) / blockSize) }, (_, index) => index)
  const first = await runStep(engine, {
    admit: [{ handle: HANDLE, sequence: 0, promptIds, emittedIds: [], sampling: { ...GREEDY, maxTokens } }],
    appendBlocks: [{ handle: HANDLE, blockIds }],
    cells: [{ handle: HANDLE, start: 0, count: promptIds.length, sampleHandles: [HANDLE] }],
  })
  const tokenIds = [...first.tokens.tokenIds]
  let decodeMs = 0
  while (tokenIds.length < maxTokens) {
    const { result, tokens } = await runStep(engine, { decodes: [{ handle: HANDLE, tree: null, forced: false }] })
    decodeMs += result.stepMs
    tokenIds.push(...tokens.tokenIds)
  }
  return { tokenIds, prefillMs: first.result.stepMs, decodeMs }
}

async function runStep(engine: OnnxEngine, parts: Partial<StepCommand>): Promise<{ result: StepResult; tokens: StepTokens }> {
  const result = await engine.execute({ kind: 'step', stepId: 1, admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [], ...parts })
  const tokens = result.kind === 'step' ? result.tokens[0] : undefined
  if (result.kind !== 'step' || tokens === undefined) throw new RubatoError('check_failed', 'the engine sampled no token')
  if (tokens.logprobs?.some(({ logprob }) => !Number.isFinite(logprob)) === true) {
    throw new RubatoError('check_failed', 'the model computes values that are no numbers: its weights are damaged, or need more than float32')
  }
  return { result, tokens }
}
