// Frames in another encoding than raw. It takes KV as little-endian float32; on anything else it saves less.
//
//   lossless  length of the packed plane (4 bytes), the top bytes of all floats packed by zstd, their lower 24 bits, what is left over
//
// 1. Decoding checks every length: a payload that cannot be what it says throws, and never writes outside its place.
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { promisify } from 'node:util'
import type { KvEncoding } from '@rubato/policy'

const pack = promisify(zstdCompress)
const unpack = promisify(zstdDecompress)

const PACKING = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const LENGTH_BYTES = 4
/** Four floats are 16 bytes: 4 top bytes and 12 others. */
const GROUP_WORDS = 4

/** A view of the bytes as words; of a copy where they do not lie on a word boundary. */
function wordsOf<T>(bytes: Uint8Array, of: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => T): T {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  return new of(aligned.buffer, aligned.byteOffset, Math.floor(bytes.byteLength / 4))
}

/** Most bytes that an encoded frame of `numBytes` has. */
export function mostEncodedBytes(numBytes: number): number {
  return numBytes + numBytes / 8 + 1024
}

/** The payload of these bytes. */
export async function encodePayload(bytes: Uint8Array, encoding: KvEncoding): Promise<Uint8Array> {
  return encoding === 'raw' ? bytes : encodeLossless(bytes)
}

/** Writes what the payload stands for to `place`. Rejects when it is none of that length. */
export async function decodePayload(payload: Uint8Array, encoding: KvEncoding, place: Uint8Array): Promise<void> {
  if (encoding === 'lossless') return decodeLossless(payload, place)
  expectBytes(payload, place.byteLength)
  place.set(payload)
}

function expectBytes(payload: Uint8Array, numBytes: number): void {
  if (payload.byteLength !== numBytes) throw new RangeError(`${payload.byteLength} bytes of payload instead of ${numBytes}`)
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
