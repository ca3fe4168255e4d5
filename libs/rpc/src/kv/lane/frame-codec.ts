// Frames in other encodings than raw. All of them take KV as little-endian float32; on anything else `lossless` saves less and the
// others lose everything, so that only who knows what the blocks hold may ask for them.
//
//   lossless  length of the packed plane (4 bytes), the top bytes of all floats packed by zstd, their lower 24 bits, what is left over
//   fp16      IEEE half precision; what is too large becomes the largest
//   int8      per 64 floats: their scale (float32); then one byte each, a multiple of the scale
//
// 1. Decoding checks every length: a payload that cannot be what it says throws, and never writes outside its place.
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { promisify } from 'node:util'
import type { KvEncoding } from '@rubato/policy'

/** The type library of this project leaves it out. */
interface Halves extends ArrayLike<number> {
  readonly buffer: ArrayBuffer
  [index: number]: number
}
const { Float16Array } = globalThis as unknown as { readonly Float16Array: new (from: number | ArrayBufferLike, byteOffset?: number, length?: number) => Halves }

const pack = promisify(zstdCompress)
const unpack = promisify(zstdDecompress)

const PACKING = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const LENGTH_BYTES = 4
/** Four floats are 16 bytes: 4 top bytes and 12 others. */
const GROUP_WORDS = 4
const MAX_FP16 = 65_504
const INT8_GROUP = 64
const MAX_INT8 = 127

/** A view of the bytes as words; of a copy where they do not lie on a word boundary. */
function wordsOf<T>(bytes: Uint8Array, of: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => T): T {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  return new of(aligned.buffer, aligned.byteOffset, Math.floor(bytes.byteLength / 4))
}

/** Most bytes that an encoded frame of `numBytes` has. */
export function mostEncodedBytes(numBytes: number): number {
  return numBytes + numBytes / 8 + 1024
}

/** The payload of these bytes. Lossy encodings take whole floats only: other lengths go as they are, which decoding sees by the length. */
export async function encodePayload(bytes: Uint8Array, encoding: KvEncoding): Promise<Uint8Array> {
  switch (encoding) {
    case 'raw':
      return bytes
    case 'lossless':
      return encodeLossless(bytes)
    case 'fp16':
      return bytes.byteLength % 4 === 0 ? encodeFp16(wordsOf(bytes, Float32Array)) : bytes
    case 'int8':
      return bytes.byteLength % 4 === 0 ? encodeInt8(wordsOf(bytes, Float32Array)) : bytes
  }
}

/** Writes what the payload stands for to `place`. Rejects when it is none of that length. */
export async function decodePayload(payload: Uint8Array, encoding: KvEncoding, place: Uint8Array): Promise<void> {
  if (encoding === 'lossless') return decodeLossless(payload, place)
  if (encoding === 'raw' || place.byteLength % 4 !== 0) return copyWhole(payload, place)
  const floats = new Float32Array(place.byteLength / 4)
  if (encoding === 'fp16') decodeFp16(payload, floats)
  else decodeInt8(payload, floats)
  place.set(new Uint8Array(floats.buffer))
}

function expectBytes(payload: Uint8Array, numBytes: number): void {
  if (payload.byteLength !== numBytes) throw new RangeError(`${payload.byteLength} bytes of payload instead of ${numBytes}`)
}

function copyWhole(payload: Uint8Array, place: Uint8Array): void {
  expectBytes(payload, place.byteLength)
  place.set(payload)
}

async function encodeLossless(bytes: Uint8Array): Promise<Uint8Array> {
  const words = wordsOf(bytes, Uint32Array)
  const numGroups = Math.floor(words.length / GROUP_WORDS)
  const tops = new Uint32Array(numGroups)
  const rests = new Uint32Array(3 * numGroups)
  for (let group = 0; group < numGroups; group++) {
    const [a, b, c, d] = [words[4 * group]!, words[4 * group + 1]!, words[4 * group + 2]!, words[4 * group + 3]!]
    tops[group] = (a >>> 24) | ((b >>> 24) << 8) | ((c >>> 24) << 16) | ((d >>> 24) << 24)
    rests[3 * group] = (a & 0xffffff) | (b << 24)
    rests[3 * group + 1] = ((b >>> 8) & 0xffff) | (c << 16)
    rests[3 * group + 2] = ((c >>> 16) & 0xff) | (d << 8)
  }
  const packed = await pack(new Uint8Array(tops.buffer), PACKING)
  const left = bytes.subarray(16 * numGroups)
  const payload = new Uint8Array(LENGTH_BYTES + packed.byteLength + rests.byteLength + left.byteLength)
  new DataView(payload.buffer).setUint32(0, packed.byteLength, true)
  payload.set(packed, LENGTH_BYTES)
  payload.set(new Uint8Array(rests.buffer), LENGTH_BYTES + packed.byteLength)
  payload.set(left, LENGTH_BYTES + packed.byteLength + rests.byteLength)
  return payload
}

async function decodeLossless(payload: Uint8Array, place: Uint8Array): Promise<void> {
  const numGroups = Math.floor(place.byteLength / 16)
  if (payload.byteLength < LENGTH_BYTES) throw new RangeError('a payload without its length')
  const packedBytes = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true)
  expectBytes(payload, LENGTH_BYTES + packedBytes + place.byteLength - 4 * numGroups)
  const unpacked = await unpack(payload.subarray(LENGTH_BYTES, LENGTH_BYTES + packedBytes), { maxOutputLength: Math.max(1, 4 * numGroups) })
  expectBytes(unpacked, 4 * numGroups)
  const tops = wordsOf(unpacked, Uint32Array)
  const rests = wordsOf(payload.slice(LENGTH_BYTES + packedBytes, LENGTH_BYTES + packedBytes + 12 * numGroups), Uint32Array)
  const words = new Uint32Array(4 * numGroups)
  for (let group = 0; group < numGroups; group++) {
    const [top, x, y, z] = [tops[group]!, rests[3 * group]!, rests[3 * group + 1]!, rests[3 * group + 2]!]
    words[4 * group] = (x & 0xffffff) | (top << 24)
    words[4 * group + 1] = (x >>> 24) | ((y & 0xffff) << 8) | ((top << 16) & 0xff000000)
    words[4 * group + 2] = (y >>> 16) | ((z & 0xff) << 16) | ((top << 8) & 0xff000000)
    words[4 * group + 3] = (z >>> 8) | (top & 0xff000000)
  }
  place.set(new Uint8Array(words.buffer))
  place.set(payload.subarray(LENGTH_BYTES + packedBytes + 12 * numGroups), 16 * numGroups)
}

function encodeFp16(floats: Float32Array): Uint8Array {
  const halves = new Float16Array(floats.length)
  for (let index = 0; index < floats.length; index++) {
    const value = floats[index]!
    halves[index] = value > MAX_FP16 ? MAX_FP16 : value < -MAX_FP16 ? -MAX_FP16 : value
  }
  return new Uint8Array(halves.buffer)
}

function decodeFp16(payload: Uint8Array, floats: Float32Array): void {
  expectBytes(payload, 2 * floats.length)
  const aligned = payload.byteOffset % 2 === 0 ? payload : payload.slice()
  floats.set(new Float16Array(aligned.buffer, aligned.byteOffset, floats.length))
}

function encodeInt8(floats: Float32Array): Uint8Array {
  const numGroups = Math.ceil(floats.length / INT8_GROUP)
  const payload = new Uint8Array(4 * numGroups + floats.length)
  const scales = new Float32Array(payload.buffer, 0, numGroups)
  const values = new Int8Array(payload.buffer, 4 * numGroups)
  for (let group = 0; group < numGroups; group++) {
    const [start, end] = [group * INT8_GROUP, Math.min(floats.length, (group + 1) * INT8_GROUP)]
    let most = 0
    for (let index = start; index < end; index++) most = Math.max(most, Math.abs(floats[index]!))
    scales[group] = most / MAX_INT8
    const factor = most === 0 ? 0 : MAX_INT8 / most
    for (let index = start; index < end; index++) values[index] = Math.round(floats[index]! * factor)
  }
  return payload
}

function decodeInt8(payload: Uint8Array, floats: Float32Array): void {
  const numGroups = Math.ceil(floats.length / INT8_GROUP)
  expectBytes(payload, 4 * numGroups + floats.length)
  const scales = wordsOf(payload.subarray(0, 4 * numGroups), Float32Array)
  for (let index = 0; index < floats.length; index++) floats[index] = ((payload[4 * numGroups + index]! << 24) >> 24) * scales[Math.floor(index / INT8_GROUP)]!
}
