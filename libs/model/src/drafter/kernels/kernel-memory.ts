// The memory that the draft's kernels work in: handed out once, never given back.
import { RubatoError } from '@rubato/config'
import { PANEL_COLUMNS } from './matmul-kernel.ts'
import { webAssembly } from './web-assembly.ts'
import type { WasmMemory } from './web-assembly.ts'

const PAGE_BYTES = 65_536
const MAX_PAGES = 32_768
const MAX_FLOATS = (MAX_PAGES * PAGE_BYTES) / Float32Array.BYTES_PER_ELEMENT

/** The least multiple of 16 that is no less: rows of activations and weights have zeros behind their width. */
export function paddedWidth(width: number): number {
  return Math.ceil(width / PANEL_COLUMNS) * PANEL_COLUMNS
}

export class KernelMemory {
  readonly memory: WasmMemory = new webAssembly.Memory({ initial: 1, maximum: MAX_PAGES })
  #usedFloats = 0

  /** Index of the first of `numFloats` zeros, which start on a cache line. Ends the life of every view taken before. */
  take(numFloats: number): number {
    const at = this.#usedFloats
    this.#usedFloats += paddedWidth(numFloats)
    if (this.#usedFloats > MAX_FLOATS) throw new RubatoError('draft_memory', 'the draft model and its KV cache do not fit in 2 GiB')
    const pages = Math.ceil((this.#usedFloats * Float32Array.BYTES_PER_ELEMENT) / PAGE_BYTES)
    const grown = pages - this.memory.buffer.byteLength / PAGE_BYTES
    if (grown > 0) this.memory.grow(grown)
    return at
  }

  /** Takes room for these values and copies them there. */
  put(values: Float32Array): number {
    const at = this.take(values.length)
    this.floats().set(values, at)
    return at
  }

  /** Everything, as floats. */
  floats(): Float32Array {
    return new Float32Array(this.memory.buffer)
  }
}
