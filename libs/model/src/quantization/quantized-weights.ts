// int8 weights on disk: one file holds every quantised matrix and the tensors that stay as they were (embedding, norms,
// biases); a manifest beside it says where. Written once per checkpoint content, then used like a checkpoint.
import { randomUUID } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import type { Checkpoint, TensorLocation, WeightDtype } from '../checkpoint/checkpoint.ts'
import type { GraphWriter, Value } from '../graph/graph-writer.ts'
import type { WeightSource } from '../graph/weights.ts'
import { toFloat32 } from './half.ts'
import { INT8_BLOCK, quantizeInt8 } from './int8.ts'

const FORMAT = 3
const DATA_FILE = 'weights.bin'
const MANIFEST_FILE = 'manifest.json'
const ALIGNMENT = 64
/** One system call moves at most this much. */
const MAX_IO_BYTES = 2 ** 30

interface StoredTensor {
  readonly dtype: WeightDtype | 'uint8'
  readonly shape: readonly number[]
  readonly offsetBytes: number
  readonly sizeBytes: number
}

interface Manifest {
  readonly format: number
  readonly tensors: Readonly<Record<string, StoredTensor>>
}

const LAYER_MATRICES = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj', 'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj']

/** Names of the projections that are quantised, without `.weight`. */
function matrices({ config }: Checkpoint): string[] {
  const layers = Array.from({ length: config.numLayers }, (_, layer) => LAYER_MATRICES.map((name) => `model.layers.${layer}.${name}`))
  return [...layers.flat(), config.tiedEmbeddings ? 'model.embed_tokens' : 'lm_head']
}

class Writer {
  readonly tensors: Record<string, StoredTensor> = {}
  readonly #file: number
  #offsetBytes = 0

  constructor(file: string) {
    this.#file = openSync(file, 'w')
  }

  add(name: string, dtype: StoredTensor['dtype'], shape: readonly number[], data: ArrayBufferView): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#file, bytes, written, Math.min(bytes.length - written, MAX_IO_BYTES), this.#offsetBytes + written)
    }
    this.tensors[name] = { dtype, shape, offsetBytes: this.#offsetBytes, sizeBytes: bytes.length }
    this.#offsetBytes = Math.ceil((this.#offsetBytes + bytes.length) / ALIGNMENT) * ALIGNMENT
  }

  close(): void {
    closeSync(this.#file)
  }
}

function readTensor(at: TensorLocation): Uint8Array {
  const bytes = new Uint8Array(at.sizeBytes)
  const file = openSync(at.file, 'r')
  try {
    for (let read = 0; read < bytes.length; ) {
      const count = readSync(file, bytes, read, Math.min(bytes.length - read, MAX_IO_BYTES), at.offsetBytes + read)
      if (count === 0) throw new Error(`${at.file} ended inside ${at.name}`)
      read += count
    }
  } finally {
    closeSync(file)
  }
  return bytes
}

function located(checkpoint: Checkpoint, name: string): TensorLocation {
  const at = checkpoint.tensors.get(name)
  if (at === undefined) throw new Error(`weight ${name} was not loaded with the checkpoint`)
  return at
}

function writeMatrix(writer: Writer, checkpoint: Checkpoint, name: string): void {
  const stored = located(checkpoint, `${name}.weight`)
  const [out, inputs] = stored.shape as [number, number]
  const { quants, scales } = quantizeInt8(toFloat32(readTensor(stored), stored.dtype), out, inputs)
  const blocks = Math.ceil(inputs / INT8_BLOCK)
  writer.add(`${name}.quants`, 'uint8', [out, blocks, INT8_BLOCK], quants)
  writer.add(`${name}.scales`, 'float32', [out * blocks], scales)
}

/** What is kept in its own precision: every tensor that no quantised matrix covers, and the embedding table. */
function plainTensors(checkpoint: Checkpoint): TensorLocation[] {
  const covered = new Set(matrices(checkpoint).map((name) => `${name}.weight`))
  covered.delete('model.embed_tokens.weight')
  return [...checkpoint.tensors.values()].filter(({ name }) => !covered.has(name))
}

export type QuantizationProgress = (doneRatio: number) => void

/**
 * Opens the int8 weights of a checkpoint, quantising it first where `cacheDir` (one folder per content) has none.
 * A cut-off attempt leaves nothing that a later one would take for whole.
 */
export function openInt8Weights(checkpoint: Checkpoint, cacheDir: string, onProgress: QuantizationProgress): WeightSource {
  let manifest = readWhole(checkpoint, cacheDir)
  if (manifest === null) {
    quantizeInto(checkpoint, cacheDir, onProgress)
    manifest = readWhole(checkpoint, cacheDir)
  }
  if (manifest === null) throw new Error(`${cacheDir} was written but does not read back; delete the folder and start again`)
  return new QuantizedWeights(checkpoint, cacheDir, manifest)
}

/** The manifest, when it covers this checkpoint and the data file has every byte it speaks of; null otherwise. */
function readWhole(checkpoint: Checkpoint, cacheDir: string): Manifest | null {
  try {
    const manifest = JSON.parse(readFileSync(path.join(cacheDir, MANIFEST_FILE), 'utf8')) as Manifest
    if (manifest.format !== FORMAT) return null
    const { size } = statSync(path.join(cacheDir, DATA_FILE))
    const isCut = Object.values(manifest.tensors).some(({ offsetBytes, sizeBytes }) => offsetBytes + sizeBytes > size)
    const needed = [...matrices(checkpoint).map((name) => `${name}.quants`), ...plainTensors(checkpoint).map(({ name }) => name)]
    return isCut || needed.some((name) => manifest.tensors[name] === undefined) ? null : manifest
  } catch {
    // Absent or damaged: quantising again is the answer to both.
    return null
  }
}

function quantizeInto(checkpoint: Checkpoint, cacheDir: string, onProgress: QuantizationProgress): void {
  const partial = `${cacheDir}.partial-${randomUUID()}`
  mkdirSync(partial, { recursive: true })
  const writer = new Writer(path.join(partial, DATA_FILE))
  const names = matrices(checkpoint)
  for (const [index, name] of names.entries()) {
    writeMatrix(writer, checkpoint, name)
    onProgress((index + 1) / names.length)
  }
  for (const tensor of plainTensors(checkpoint)) writer.add(tensor.name, tensor.dtype, tensor.shape, readTensor(tensor))
  writer.close()
  const manifest: Manifest = { format: FORMAT, tensors: writer.tensors }
  writeFileSync(path.join(partial, MANIFEST_FILE), JSON.stringify(manifest))
  publish(checkpoint, partial, cacheDir)
}

/** Moves a finished folder into place, unless another engine that started together with this one was faster. */
function publish(checkpoint: Checkpoint, partial: string, cacheDir: string): void {
  try {
    if (readWhole(checkpoint, cacheDir) === null) {
      rmSync(cacheDir, { recursive: true, force: true })
      renameSync(partial, cacheDir)
    }
  } catch (cause) {
    if (readWhole(checkpoint, cacheDir) === null) throw cause
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

class QuantizedWeights implements WeightSource {
  readonly folder: string
  readonly #checkpoint: Checkpoint
  readonly #manifest: Manifest

  constructor(checkpoint: Checkpoint, folder: string, manifest: Manifest) {
    this.folder = folder
    this.#checkpoint = checkpoint
    this.#manifest = manifest
  }

  tensor(graph: GraphWriter, name: string): Value {
    const at = this.#manifest.tensors[name]
    if (at === undefined) throw new Error(`quantised weights hold no ${name}`)
    return graph.weight(name, at.dtype, at.shape, { fileName: DATA_FILE, offsetBytes: at.offsetBytes, sizeBytes: at.sizeBytes })
  }

  linear(graph: GraphWriter, x: Value, name: string): Value {
    const out = this.#manifest.tensors[`${name}.quants`]!.shape[0]!
    const inputs = located(this.#checkpoint, `${name}.weight`).shape[1]!
    const bias = this.#manifest.tensors[`${name}.bias`] === undefined ? [] : ['', '', this.tensor(graph, `${name}.bias`)]
    return graph.node('MatMulNBits', [x, this.tensor(graph, `${name}.quants`), this.tensor(graph, `${name}.scales`), ...bias], {
      domain: 'com.microsoft',
      attributes: { K: inputs, N: out, bits: 8, block_size: INT8_BLOCK, accuracy_level: 4 },
    })
  }
}
