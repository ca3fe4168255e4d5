// Finds the .safetensors files of a directory, and says what lies there instead when there are none.
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { CheckpointError } from '@rubato/config'
import { isRecord, readJsonFields } from '../config/json-fields.ts'

export const SINGLE_FILE = 'model.safetensors'
export const INDEX_FILE = 'model.safetensors.index.json'
const SUPPORTED = `supported are ${SINGLE_FILE} or shards listed in ${INDEX_FILE}`

export interface WeightFiles {
  /** Absolute paths, sorted. */
  readonly files: readonly string[]
  /** Which file holds each tensor, when the checkpoint has an index; null for a single file. */
  readonly index: { readonly file: string; readonly fileOf: ReadonlyMap<string, string> } | null
}

/** Finds the weight files; a single model.safetensors wins over an index, as in Hugging Face. Throws CheckpointError when there are none. */
export async function findWeightFiles(dir: string): Promise<WeightFiles> {
  const names = await listDirectory(dir)
  if (names.includes(SINGLE_FILE)) return { files: [path.join(dir, SINGLE_FILE)], index: null }
  if (!names.includes(INDEX_FILE)) throw unsupportedContents(dir, names)
  const indexFile = path.join(dir, INDEX_FILE)
  const fileOf = await readIndex(indexFile)
  const files = [...new Set(fileOf.values())].toSorted()
  const absent = files.find((file) => !names.includes(path.basename(file)))
  if (absent !== undefined) throw new CheckpointError(indexFile, 'weight_map', `names ${path.basename(absent)}, which is not in the directory; download every shard`)
  return { files, index: { file: indexFile, fileOf } }
}

/** Names in a checkpoint directory. Throws CheckpointError when `dir` is no directory. */
export async function listDirectory(dir: string): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).toSorted()
  } catch (cause) {
    if (dir.endsWith('.gguf')) throw refuseGguf(dir)
    throw new CheckpointError(dir, 'directory', `cannot be read: ${(cause as Error).message}; give a local Hugging Face checkpoint directory`, { cause })
  }
}

/** The error for a directory without servable weights, after what it does hold. */
export function unsupportedContents(dir: string, names: readonly string[]): CheckpointError {
  const find = (pattern: RegExp): string | undefined => names.find((name) => pattern.test(name))
  const gguf = find(/\.gguf$/i)
  if (gguf !== undefined) return refuseGguf(path.join(dir, gguf))
  const adapter = find(/^adapter_(config\.json|model\.)/)
  if (adapter !== undefined) return new CheckpointError(path.join(dir, adapter), 'weights', `is an adapter without its base model; merge it first: ${SUPPORTED}`)
  const pickle = find(/\.(bin|pth|pt|ckpt)$|\.bin\.index\.json$/i)
  if (pickle !== undefined) return new CheckpointError(path.join(dir, pickle), 'weights', `PyTorch pickle files are not read; ${SUPPORTED} (save again with safe_serialization=True)`)
  const native = find(/^consolidated.*\.safetensors$/)
  if (native !== undefined) return new CheckpointError(path.join(dir, native), 'weights', `is Mistral's own layout; ${SUPPORTED}`)
  return new CheckpointError(dir, 'weights', `no weights found; ${SUPPORTED}`)
}

function refuseGguf(file: string): CheckpointError {
  return new CheckpointError(file, 'weights', `GGUF files are not supported; ${SUPPORTED} in a Hugging Face directory`)
}

async function readIndex(indexFile: string): Promise<ReadonlyMap<string, string>> {
  const dir = path.dirname(indexFile)
  const weightMap = (await readJsonFields(indexFile))?.raw('weight_map')
  if (!isRecord(weightMap)) throw new CheckpointError(indexFile, 'weight_map', 'is missing or not an object')
  const fileOf = new Map<string, string>()
  for (const [tensor, name] of Object.entries(weightMap)) {
    if (typeof name !== 'string' || path.basename(name) !== name || name === '..')
      throw new CheckpointError(indexFile, `weight_map.${tensor}`, `is ${JSON.stringify(name)}, expected a file name in this directory`)
    fileOf.set(tensor, path.join(dir, name))
  }
  return fileOf
}
