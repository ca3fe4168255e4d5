// Loads a Hugging Face directory of the Llama family: shape from config.json, places of the weights from the headers.
import path from 'node:path'
import type { Checkpoint } from './checkpoint.ts'
import { readModelConfig } from './config/model-config.ts'
import { locateTensors } from './weights/tensor-locations.ts'
import { listDirectory, unsupportedContents } from './weights/weight-files.ts'

/**
 * Reads what a checkpoint is and where its weights lie, without reading the weights.
 * Throws CheckpointError naming the file, the field or tensor, and what is supported.
 */
export async function loadCheckpoint(dir: string): Promise<Checkpoint> {
  const root = path.resolve(dir)
  await assertHuggingFace(root)
  const config = await readModelConfig(root)
  const tensors = await locateTensors(root, config)
  let numParameters = 0
  for (const { shape } of tensors.values()) numParameters += shape.reduce((product, size) => product * size, 1)
  return { dir: root, config, tensors, numParameters }
}

/** A directory without config.json is told what it holds instead (GGUF, pickles, ...). */
async function assertHuggingFace(root: string): Promise<void> {
  const names = await listDirectory(root)
  if (!names.includes('config.json') && !names.some((name) => /^model.*\.safetensors/.test(name))) throw unsupportedContents(root, names)
}
