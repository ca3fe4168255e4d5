// Conversion of stored weights to float32.
import type { WeightDtype } from '../checkpoint/checkpoint.ts'

const HALF_TABLE_SIZE = 65536
let halfTable: Float32Array | null = null

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Float32 values of `bytes`, which hold `dtype` little-endian. */
export function toFloat32(bytes: Uint8Array, dtype: WeightDtype): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  if (dtype === 'float32') return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4)
  const words = new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2)
  const out = new Float32Array(words.length)
  if (dtype === 'bfloat16') {
    const bits = new Uint32Array(out.buffer)
    for (let i = 0; i < words.length; i++) bits[i] = words[i]! << 16
    return out
  }
  halfTable ??= Float32Array.from({ length: HALF_TABLE_SIZE }, (_, bits) => halfToFloat(bits))
  for (let i = 0; i < words.length; i++) out[i] = halfTable[words[i]!]!
  return out
}
