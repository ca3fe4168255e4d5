// Where the graph finds its weights: straight in the checkpoint's .safetensors files (float32 compute), or in the one
// file that quantisation wrote (int8). Both hand the graph builder the same two operations.
import { realpathSync } from 'node:fs'
import path from 'node:path'
import type { Checkpoint, TensorLocation } from '../checkpoint/checkpoint.ts'
import type { GraphWriter, Value } from './graph-writer.ts'

export interface WeightSource {
  /** Folder that external file names are resolved in; every file of the source lies in it. */
  readonly folder: string
  /** A weight as a float32 value of its stored shape. */
  tensor(graph: GraphWriter, name: string): Value
  /** y = x W^T (+ b) of the named projection, without `.weight` / `.bias`: [rows, in] to [rows, out]. */
  linear(graph: GraphWriter, x: Value, name: string): Value
}

/** Float32 compute on the checkpoint's own files; float16 and bfloat16 weights are cast once, when the session is made. */
export class CheckpointWeights implements WeightSource {
  readonly folder: string
  readonly #tensors: ReadonlyMap<string, TensorLocation>
  /** Where each weight file really lies: ONNX Runtime follows no link out of its folder, and a Hugging Face cache is all links. */
  readonly #realFiles: ReadonlyMap<string, string>

  constructor(checkpoint: Checkpoint) {
    this.#tensors = checkpoint.tensors
    const files = new Set([...checkpoint.tensors.values()].map(({ file }) => file))
    this.#realFiles = new Map([...files].map((file) => [file, realpathSync(file)]))
    this.folder = commonFolder([...this.#realFiles.values()])
  }

  tensor(graph: GraphWriter, name: string): Value {
    const at = this.#tensors.get(name)
    if (at === undefined) throw new Error(`weight ${name} was not loaded with the checkpoint`)
    const fileName = path.relative(this.folder, this.#realFiles.get(at.file)!)
    return graph.weight(name, at.dtype, at.shape, { fileName, offsetBytes: at.offsetBytes, sizeBytes: at.sizeBytes })
  }

  linear(graph: GraphWriter, x: Value, name: string): Value {
    const inputs = [x, this.tensor(graph, `${name}.weight`)]
    if (this.#tensors.has(`${name}.bias`)) inputs.push(this.tensor(graph, `${name}.bias`))
    return graph.node('Gemm', inputs, { attributes: { transB: 1 } })
  }
}

/** The deepest folder that all of these absolute paths lie in. */
function commonFolder(files: readonly string[]): string {
  const [first = path.sep, ...others] = files.map((file) => path.dirname(file))
  let folder = first
  while (others.some((other) => other !== folder && !other.startsWith(path.join(folder, path.sep)))) folder = path.dirname(folder)
  return folder
}
