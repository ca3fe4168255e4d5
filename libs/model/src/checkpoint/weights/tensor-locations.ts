// Matches what the architecture needs against what the .safetensors headers hold.
import { CheckpointError } from '@rubato/config'
import type { ModelConfig, TensorLocation, WeightDtype } from '../checkpoint.ts'
import { requiredTensors } from './required-tensors.ts'
import type { RequiredTensor } from './required-tensors.ts'
import { readSafetensorsHeader } from './safetensors.ts'
import type { StoredTensor } from './safetensors.ts'
import { findWeightFiles } from './weight-files.ts'

const DTYPES: ReadonlyMap<string, { readonly dtype: WeightDtype; readonly elementBytes: number }> = new Map([
  ['F32', { dtype: 'float32', elementBytes: 4 }],
  ['F16', { dtype: 'float16', elementBytes: 2 }],
  ['BF16', { dtype: 'bfloat16', elementBytes: 2 }],
])
/** Older exports store the rotary frequencies, which follow from the config. */
const DERIVED = /(^|\.)rotary_emb\.inv_freq$/

/** A tensor and the file that holds it. */
interface Placed extends StoredTensor {
  readonly file: string
}

/** Everything the headers list, and where to point when a tensor is missing. */
interface Inventory {
  readonly source: string
  readonly tensors: ReadonlyMap<string, Placed>
}

/**
 * Finds every tensor of `config` in `dir`: names, shapes, dtypes and alignment checked, weights unread.
 * Throws CheckpointError naming the file and the tensor. A tensor the architecture has no use for is refused as well,
 * because it means that the weights are not what config.json says.
 */
export async function locateTensors(dir: string, config: ModelConfig): Promise<ReadonlyMap<string, TensorLocation>> {
  const inventory = await takeInventory(dir)
  const located = new Map<string, TensorLocation>()
  for (const required of requiredTensors(config)) located.set(required.name, locate(inventory, required))
  for (const [name, { file }] of inventory.tensors) {
    const expected = located.has(name) || DERIVED.test(name) || (config.tiedEmbeddings && name === 'lm_head.weight')
    if (!expected) throw new CheckpointError(file, name, `is no part of ${config.architecture} as config.json describes it (num_hidden_layers, attention_bias, mlp_bias?)`)
  }
  return located
}

async function takeInventory(dir: string): Promise<Inventory> {
  const { files, index } = await findWeightFiles(dir)
  const headers = await Promise.all(files.map((file) => readSafetensorsHeader(file)))
  const tensors = new Map<string, Placed>()
  for (const { file, tensors: stored } of headers) {
    for (const [name, tensor] of stored) {
      if (index === null || index.fileOf.get(name) === file) tensors.set(name, { ...tensor, file })
    }
  }
  for (const [name, file] of index?.fileOf ?? []) {
    if (!tensors.has(name)) throw new CheckpointError(file, name, `tensor is missing, although ${index?.file ?? 'the index'} places it here`)
  }
  return { source: index?.file ?? files[0] ?? dir, tensors }
}

function locate(inventory: Inventory, required: RequiredTensor): TensorLocation {
  const { name, shape } = required
  const stored = inventory.tensors.get(name)
  if (stored === undefined) throw new CheckpointError(inventory.source, name, missingMessage(name))
  const fail = (message: string): CheckpointError => new CheckpointError(stored.file, name, message)
  const kind = DTYPES.get(stored.dtype)
  if (kind === undefined) throw fail(`dtype ${stored.dtype} is not supported; supported are F32, F16 and BF16`)
  if (stored.shape.length !== shape.length || stored.shape.some((size, axis) => size !== shape[axis]))
    throw fail(`shape is [${stored.shape.join(', ')}], config.json asks for [${shape.join(', ')}]`)
  if (stored.offsetBytes % kind.elementBytes !== 0)
    throw fail(`starts at byte ${stored.offsetBytes}, which is not a multiple of ${kind.elementBytes}: memory mapping needs aligned weights; save the file again with safetensors >= 0.3`)
  return { name, dtype: kind.dtype, shape, file: stored.file, offsetBytes: stored.offsetBytes, sizeBytes: stored.sizeBytes }
}

function missingMessage(name: string): string {
  return name === 'lm_head.weight' ? 'tensor is missing, and config.json does not tie the head (tie_word_embeddings)' : 'tensor is missing'
}
