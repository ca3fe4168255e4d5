// What a checkpoint is, for `model inspect`: explains an unsupported one instead of throwing.
import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Checkpoint, ModelConfig } from './checkpoint.ts'
import { readJsonFields } from './config/json-fields.ts'
import type { JsonFields } from './config/json-fields.ts'
import { architectureName, findRefusals } from './config/refusals.ts'
import { loadGenerationDefaults } from './generation-defaults.ts'
import type { GenerationDefaults } from './generation-defaults.ts'
import { loadCheckpoint } from './load.ts'
import { findWeightFiles, listDirectory } from './weights/weight-files.ts'

/** The numbers of the shape; null where config.json does not say. */
export type CheckpointShape = { readonly [Key in ShapeKey]: number | null }
type ShapeKey = 'vocabSize' | 'hiddenSize' | 'intermediateSize' | 'numLayers' | 'numHeads' | 'numKvHeads' | 'headDim' | 'maxPositions'

export interface CheckpointReport {
  /** Absolute directory. */
  readonly dir: string
  readonly supported: boolean
  /** Why it cannot be served, each naming file and field; empty exactly when supported. */
  readonly problems: readonly string[]
  readonly architecture: string | null
  readonly shape: CheckpointShape
  /** Everything the graph builder knows; null unless supported. */
  readonly config: ModelConfig | null
  /** Weight dtypes, joined by `+` when mixed; of config.json when the weights could not be loaded. */
  readonly dtype: string | null
  readonly numParameters: number | null
  /** Weight files of any format. */
  readonly files: readonly { readonly name: string; readonly sizeBytes: number }[]
  /** K and V of one token over all layers, stored as float32. */
  readonly kvBytesPerToken: number | null
  readonly hasTokenizer: boolean
  readonly hasChatTemplate: boolean
  readonly generationDefaults: GenerationDefaults | null
}

const CONFIG_KEYS: Readonly<Record<ShapeKey, string>> = {
  vocabSize: 'vocab_size',
  hiddenSize: 'hidden_size',
  intermediateSize: 'intermediate_size',
  numLayers: 'num_hidden_layers',
  numHeads: 'num_attention_heads',
  numKvHeads: 'num_key_value_heads',
  headDim: 'head_dim',
  maxPositions: 'max_position_embeddings',
}
const WEIGHT_FILE = /\.(safetensors|gguf|bin|pth|pt|ckpt)$/i
const FLOAT32_BYTES = 4

/** Reports on a directory; never throws for what it finds there. */
export async function describeCheckpoint(dir: string): Promise<CheckpointReport> {
  const root = path.resolve(dir)
  const problems = new Set<string>()
  const attempt: Attempt = (work) =>
    work().catch((cause: unknown) => {
      problems.add(cause instanceof Error ? cause.message : String(cause))
      return null
    })
  const { names, fields, checkpoint } = await examine(root, attempt, problems)
  const generationDefaults = await attempt(() => loadGenerationDefaults(root))
  const shape = checkpoint?.config ?? rawShape(fields)
  return {
    dir: root,
    supported: problems.size === 0,
    problems: [...problems],
    architecture: fields === null ? null : architectureName(fields),
    shape: pickShape(shape),
    config: checkpoint?.config ?? null,
    dtype: dtypeOf(checkpoint, fields),
    numParameters: checkpoint?.numParameters ?? null,
    files: await sizesOf(root, names),
    kvBytesPerToken: kvBytesPerToken(shape),
    hasTokenizer: names.includes('tokenizer.json'),
    hasChatTemplate: names.includes('chat_template.jinja') || (await hasInlineTemplate(root)),
    generationDefaults,
  }
}

/** The result of the work, or null when it failed and its message was noted. */
type Attempt = <T>(work: () => Promise<T>) => Promise<T | null>

interface Findings {
  readonly names: readonly string[]
  readonly fields: JsonFields | null
  readonly checkpoint: Checkpoint | null
}

/** Looks from every side, because loading stops at the first problem; equal messages count once. */
async function examine(root: string, attempt: Attempt, problems: Set<string>): Promise<Findings> {
  const names = (await attempt(() => listDirectory(root))) ?? []
  const fields = await attempt(() => readJsonFields(path.join(root, 'config.json')))
  if (fields !== null) for (const refusal of findRefusals(fields)) problems.add(refusal.message)
  if (names.length > 0) await attempt(() => findWeightFiles(root))
  return { names, fields, checkpoint: await attempt(() => loadCheckpoint(root)) }
}

function pickShape(from: CheckpointShape): CheckpointShape {
  const { vocabSize, hiddenSize, intermediateSize, numLayers, numHeads, numKvHeads, headDim, maxPositions } = from
  return { vocabSize, hiddenSize, intermediateSize, numLayers, numHeads, numKvHeads, headDim, maxPositions }
}

/** The shape of a checkpoint that cannot be loaded, as far as its config.json tells. */
function rawShape(fields: JsonFields | null): CheckpointShape {
  const read = (key: ShapeKey): number | null => {
    const value = fields?.raw(CONFIG_KEYS[key])
    return typeof value === 'number' ? value : null
  }
  const hiddenSize = read('hiddenSize')
  const numHeads = read('numHeads')
  return {
    vocabSize: read('vocabSize'),
    hiddenSize,
    intermediateSize: read('intermediateSize'),
    numLayers: read('numLayers'),
    numHeads,
    numKvHeads: read('numKvHeads') ?? numHeads,
    headDim: read('headDim') ?? (hiddenSize !== null && numHeads !== null && numHeads > 0 ? hiddenSize / numHeads : null),
    maxPositions: read('maxPositions'),
  }
}

function kvBytesPerToken({ numLayers, numKvHeads, headDim }: CheckpointShape): number | null {
  if (numLayers === null || numKvHeads === null || headDim === null) return null
  return 2 * numLayers * numKvHeads * headDim * FLOAT32_BYTES
}

function dtypeOf(checkpoint: Checkpoint | null, fields: JsonFields | null): string | null {
  if (checkpoint !== null) return [...new Set([...checkpoint.tensors.values()].map((tensor) => tensor.dtype))].toSorted().join('+')
  const named = fields?.raw('dtype') ?? fields?.raw('torch_dtype')
  return typeof named === 'string' ? named : null
}

async function sizesOf(root: string, names: readonly string[]): Promise<CheckpointReport['files']> {
  const sized = names
    .filter((name) => WEIGHT_FILE.test(name))
    .map(async (name) => {
      const size = await stat(path.join(root, name)).then((found) => found.size, () => null)
      return size === null ? [] : [{ name, sizeBytes: size }]
    })
  return (await Promise.all(sized)).flat()
}

async function hasInlineTemplate(root: string): Promise<boolean> {
  const readOrNull = (name: string): Promise<JsonFields | null> => readJsonFields(path.join(root, name)).catch(() => null)
  const [tokenizer, template] = await Promise.all([readOrNull('tokenizer_config.json'), readOrNull('chat_template.json')])
  return tokenizer?.has('chat_template') === true || template?.has('chat_template') === true
}
