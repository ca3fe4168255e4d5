// The kernels by rows: products, norms and gates over rows `from` .. `to` of [rows, padded width] buffers, named by float index.
import { paddedWidth } from '../kernels/kernel-memory.ts'
import type { PackedLinear } from './kernel-weights.ts'
import type { Kernels } from '../kernels/kernels.ts'
import { PANEL_COLUMNS } from '../kernels/matmul-kernel.ts'

export const FLOAT_BYTES: number = Float32Array.BYTES_PER_ELEMENT

export interface RowSpan {
  readonly from: number
  readonly to: number
}

interface Product {
  readonly x: number
  readonly linear: PackedLinear
  readonly out: number
  /** What a row is added to: the float index of the first, and floats from one to the next. */
  readonly start: number
  readonly startStride: number
}

export class RowMath {
  readonly #kernels: Kernels
  readonly #floats: Float32Array
  readonly #hiddenSize: number

  constructor(kernels: Kernels, floats: Float32Array, hiddenSize: number) {
    this.#kernels = kernels
    this.#floats = floats
    this.#hiddenSize = hiddenSize
  }

  /** out = RMS norm of x. */
  norm(x: number, weight: number, out: number, { from, to }: RowSpan): void {
    const width = paddedWidth(this.#hiddenSize)
    for (let at = from * width; at < to * width; at += width) {
      this.#kernels.rmsNorm((x + at) * FLOAT_BYTES, weight * FLOAT_BYTES, (out + at) * FLOAT_BYTES, width, 1 / this.#hiddenSize)
    }
  }

  /** out = x W^T + b. */
  product(x: number, linear: PackedLinear, out: number, span: RowSpan): void {
    this.#panels({ x, linear, out, start: linear.bias, startStride: 0 }, span)
  }

  /** out += x W^T + b. */
  addProduct(x: number, linear: PackedLinear, out: number, span: RowSpan): void {
    const stride = linear.numPanels * PANEL_COLUMNS
    for (let row = span.from; linear.hasBias && row < span.to; row += 1) {
      for (let i = 0; i < stride; i += 1) this.#floats[out + row * stride + i]! += this.#floats[linear.bias + i]!
    }
    this.#panels({ x, linear, out, start: out, startStride: stride }, span)
  }

  /** out = up * silu(gate); the rows of `gateUp` are `width` gates, then as many ups. */
  gate(gateUp: number, out: number, width: number, { from, to }: RowSpan): void {
    for (let row = from; row < to; row += 1) {
      const gate = (gateUp + 2 * row * width) * FLOAT_BYTES
      this.#kernels.gatedUnit(gate, gate + width * FLOAT_BYTES, (out + row * width) * FLOAT_BYTES, width)
    }
  }

  /** Panel by panel, so that weights are read once however many rows there are. */
  #panels({ x, linear, out, start, startStride }: Product, { from, to }: RowSpan): void {
    const { oneRow, twoRows } = this.#kernels
    const { inner } = linear
    const stride = linear.numPanels * PANEL_COLUMNS
    for (let column = 0; column < stride; column += PANEL_COLUMNS) {
      const panel = (linear.panels + column * inner) * FLOAT_BYTES
      for (let row = from; row < to; row += 2) {
        const kernel = row + 1 < to ? twoRows : oneRow
        const startRow = (start + row * startStride + column) * FLOAT_BYTES
        const outRow = (out + row * stride + column) * FLOAT_BYTES
        kernel((x + row * inner) * FLOAT_BYTES, panel, startRow, outRow, inner, inner * FLOAT_BYTES, startStride * FLOAT_BYTES, stride * FLOAT_BYTES)
      }
    }
  }
}
