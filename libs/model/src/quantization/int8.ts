// Symmetric 8-bit weights for MatMulNBits: per row of W [out, in], blocks of 32 inputs share one scale; a weight is
// (q - 128) * scale. Rows are independent.

export const INT8_BLOCK = 32
const ZERO_POINT = 128

export interface QuantizedMatrix {
  readonly out: number
  readonly in: number
  /** [out, ceil(in / 32), 32]. */
  readonly quants: Uint8Array
  /** [out, ceil(in / 32)]. */
  readonly scales: Float32Array
}

/** Quantises row-major `weights` [out, in]. Inputs past the last whole block are padded with zeros. */
export function quantizeInt8(weights: Float32Array, out: number, inputs: number): QuantizedMatrix {
  const blocks = Math.ceil(inputs / INT8_BLOCK)
  const quants = new Uint8Array(out * blocks * INT8_BLOCK).fill(ZERO_POINT)
  const scales = new Float32Array(out * blocks)
  for (let row = 0; row < out; row++) {
    for (let block = 0; block < blocks; block++) {
      const from = row * inputs + block * INT8_BLOCK
      const to = Math.min(from + INT8_BLOCK, (row + 1) * inputs)
      let max = 0
      for (let i = from; i < to; i++) max = Math.max(max, Math.abs(weights[i]!))
      const at = row * blocks + block
      scales[at] = max / 127
      const inverse = max === 0 ? 0 : 127 / max
      for (let i = from; i < to; i++) quants[at * INT8_BLOCK + i - from] = Math.round(weights[i]! * inverse) + ZERO_POINT
    }
  }
  return { out, in: inputs, quants, scales }
}
