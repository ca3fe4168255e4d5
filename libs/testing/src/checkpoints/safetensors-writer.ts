// Writes random tensors as .safetensors, one tensor in memory at a time.
import { closeSync, openSync, writeSync } from 'node:fs'
import { seededRandom } from '../random.ts'
import type { RandomTensor } from './random-tensors.ts'
import type { TinyDtype } from './tiny-options.ts'

const TABLE_BITS = 12
const TABLE_SIZE = 1 << TABLE_BITS
const DTYPE_NAMES: Readonly<Record<TinyDtype, string>> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' }

/**
 * Draws from a table of normals: large shapes take seconds, not minutes, because a tensor encodes the table once
 * and then copies entries. One source serves all files of a checkpoint, so sharding does not change the weights.
 */
export class WeightSource {
  readonly #normals: Float64Array
  #state: number

  constructor(seed: number) {
    const random = seededRandom(seed)
    this.#normals = Float64Array.from({ length: TABLE_SIZE }, () => random.normal())
    this.#state = random.int(0x7fffffff) | 1
  }

  /** The encoded values of a tensor. */
  draw(tensor: RandomTensor, dtype: TinyDtype): Uint16Array | Uint32Array {
    const numElements = elementsOf(tensor)
    const table = encode(this.#normals.map((normal) => tensor.mean + tensor.std * normal), dtype)
    const values = dtype === 'float32' ? new Uint32Array(numElements) : new Uint16Array(numElements)
    let state = this.#state
    for (let i = 0; i < numElements; i++) {
      // xorshift32: cheap, and its high bits are good enough to pick a table entry.
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      values[i] = table[state >>> (32 - TABLE_BITS)] ?? 0
    }
    this.#state = state
    return values
  }
}

/** Bytes of one element. */
export function elementBytes(dtype: TinyDtype): number {
  return dtype === 'float32' ? 4 : 2
}

export function elementsOf(tensor: RandomTensor): number {
  return tensor.shape.reduce((product, size) => product * size, 1)
}

/** Writes one file holding `tensors` in order, header padded to 8 bytes as the reference writer does. */
export function writeSafetensors(file: string, tensors: readonly RandomTensor[], dtype: TinyDtype, source: WeightSource): void {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
  let offset = 0
  for (const tensor of tensors) {
    const end = offset + elementsOf(tensor) * elementBytes(dtype)
    header[tensor.name] = { dtype: DTYPE_NAMES[dtype], shape: tensor.shape, data_offsets: [offset, end] }
    offset = end
  }
  const descriptor = openSync(file, 'w')
  try {
    writeSync(descriptor, frameHeader(header))
    for (const tensor of tensors) writeAll(descriptor, source.draw(tensor, dtype))
  } finally {
    closeSync(descriptor)
  }
}

/** 8 bytes of length, then the JSON padded with spaces to a multiple of 8. */
export function frameHeader(header: Readonly<Record<string, unknown>>): Buffer {
  const text = Buffer.from(JSON.stringify(header))
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  return Buffer.concat([length, padded])
}

function writeAll(descriptor: number, values: Uint16Array | Uint32Array): void {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done)
}

/** Values as raw bits of the dtype, rounded to nearest, ties to even. */
export function encode(values: Float64Array, dtype: TinyDtype): Uint16Array | Uint32Array {
  const singles = Float32Array.from(values)
  const bits = new Uint32Array(singles.buffer)
  switch (dtype) {
    case 'float32':
      return bits
    case 'bfloat16':
      return Uint16Array.from(bits, (bit) => (bit + 0x7fff + ((bit >>> 16) & 1)) >>> 16)
    case 'float16':
      return Uint16Array.from(singles, toHalf)
  }
}

/** IEEE half precision bits; weights are far below its overflow, which is not handled. */
function toHalf(value: number): number {
  const sign = value < 0 ? 0x8000 : 0
  const magnitude = Math.abs(value)
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24)
  const exponent = Math.floor(Math.log2(magnitude))
  // A mantissa that rounds up to 2 carries into the exponent field, as it should.
  return sign | (((exponent + 14) << 10) + roundHalfEven((magnitude / 2 ** exponent) * 1024))
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest === 0.5) return floor + (floor % 2)
  return rest > 0.5 ? floor + 1 : floor
}
