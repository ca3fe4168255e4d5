// Writes random Hugging Face checkpoint directories for tests and measurements.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { familyConfig } from './family-config.ts'
import { randomTensors } from './random-tensors.ts'
import type { RandomTensor } from './random-tensors.ts'
import { WeightSource, elementBytes, elementsOf, writeSafetensors } from './safetensors-writer.ts'
import { resolveShape } from './tiny-options.ts'
import type { TinyCheckpointOptions, TinyShape } from './tiny-options.ts'

const BUNDLED_MODEL = path.resolve(import.meta.dirname, '../../../../models/shakespeare-target')

/** Writes a random checkpoint into `dir` (created if need be) and returns `dir`. The same options give the same bytes. */
export function writeTinyCheckpoint(dir: string, options: TinyCheckpointOptions = {}): string {
  const shape = resolveShape(options)
  mkdirSync(dir, { recursive: true })
  writeJson(dir, 'config.json', familyConfig(shape))
  writeJson(dir, 'generation_config.json', { bos_token_id: 0, eos_token_id: shape.eosTokenId, do_sample: true, temperature: 1 })
  const tensors = randomTensors(shape)
  const source = new WeightSource(shape.seed)
  if (shape.sharded) writeShards(dir, shape, tensors, source)
  else writeSafetensors(path.join(dir, 'model.safetensors'), tensors, shape.dtype, source)
  if (shape.tokenizer) {
    for (const name of ['tokenizer.json', 'tokenizer_config.json']) copyFileSync(path.join(BUNDLED_MODEL, name), path.join(dir, name))
  }
  return dir
}

function writeShards(dir: string, shape: TinyShape, tensors: readonly RandomTensor[], source: WeightSource): void {
  const middle = Math.ceil(tensors.length / 2)
  const shards = [tensors.slice(0, middle), tensors.slice(middle)]
  const weightMap: Record<string, string> = {}
  shards.forEach((shard, index) => {
    const name = `model-0000${index + 1}-of-0000${shards.length}.safetensors`
    writeSafetensors(path.join(dir, name), shard, shape.dtype, source)
    for (const tensor of shard) weightMap[tensor.name] = name
  })
  const totalSize = tensors.reduce((sum, tensor) => sum + elementsOf(tensor) * elementBytes(shape.dtype), 0)
  writeJson(dir, 'model.safetensors.index.json', { metadata: { total_size: totalSize }, weight_map: weightMap })
}

function writeJson(dir: string, name: string, value: unknown): void {
  writeFileSync(path.join(dir, name), `${JSON.stringify(value, null, 2)}\n`)
}
