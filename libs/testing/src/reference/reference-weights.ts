// Reads a checkpoint into float64, on its own: shares no code with the runtime's loader, so that neither can hide the other's mistake.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

export type RawConfig = Readonly<Record<string, unknown>>

export interface ReferenceWeights {
  readonly config: RawConfig
  /** Row-major values by Hugging Face name. */
  readonly tensors: ReadonlyMap<string, Float64Array>
}

const NUM_HALVES = 65536

interface HeaderEntry {
  readonly dtype: string
  readonly data_offsets: readonly [number, number]
}

/** Reads config.json and every weight of a valid checkpoint directory. Memory: 8 bytes per parameter. */
export function readReferenceWeights(dir: string): ReferenceWeights {
  const config = readJson(path.join(dir, 'config.json')) as RawConfig
  const index = path.join(dir, 'model.safetensors.index.json')
  const names = existsSync(index) ? Object.values((readJson(index) as { weight_map: Record<string, string> }).weight_map) : ['model.safetensors']
  const tensors = new Map<string, Float64Array>()
  for (const name of new Set(names)) readFileInto(path.join(dir, name), tensors)
  return { config, tensors }
}

function readFileInto(file: string, tensors: Map<string, Float64Array>): void {
  const bytes = readFileSync(file)
  const headerBytes = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<string, HeaderEntry>
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const [begin, end] = entry.data_offsets
    tensors.set(name, decode(bytes.subarray(8 + headerBytes + begin, 8 + headerBytes + end), entry.dtype))
  }
}

function decode(bytes: Buffer, dtype: string): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (dtype) {
    case 'F32':
      return Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true))
    case 'BF16':
      return decodePairs(view, bfloat16Value)
    case 'F16':
      return decodeHalf(view)
    default:
      throw new Error(`the reference does not read ${dtype}`)
  }
}

function decodePairs(view: DataView, valueOf: (bits: number) => number): Float64Array {
  const values = new Float64Array(view.byteLength / 2)
  for (let i = 0; i < values.length; i++) values[i] = valueOf(view.getUint16(i * 2, true))
  return values
}

/** Through a table of all 65,536 halves once the tensor is larger than it. */
function decodeHalf(view: DataView): Float64Array {
  if (view.byteLength < 2 * NUM_HALVES) return decodePairs(view, halfValue)
  const table = Float64Array.from({ length: NUM_HALVES }, (_, bits) => halfValue(bits))
  return decodePairs(view, (bits) => table[bits]!)
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const bfloat16Scratch = new DataView(new ArrayBuffer(4))

function bfloat16Value(bits: number): number {
  bfloat16Scratch.setUint16(0, bits)
  return bfloat16Scratch.getFloat32(0)
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'))
}
