// Rotary embedding in float64, in Hugging Face's half-rotation form.
import type { RawConfig } from './reference-weights.ts'

const DEFAULT_THETA = 10000

/** Angular frequency of each rotated pair, scaling (linear, llama3) applied; headDim / 2 values. */
export function rotaryFrequencies(config: RawConfig, headDim: number): Float64Array {
  const rope = (config['rope_parameters'] ?? config['rope_scaling'] ?? {}) as RawConfig
  const theta = Number(rope['rope_theta'] ?? config['rope_theta'] ?? DEFAULT_THETA)
  const kind = rope['rope_type'] ?? rope['type'] ?? 'default'
  return Float64Array.from({ length: headDim / 2 }, (_, pair) => {
    const frequency = theta ** (-2 * pair / headDim)
    if (kind === 'default') return frequency
    if (kind === 'linear') return frequency / Number(rope['factor'])
    if (kind === 'llama3') return llama3Frequency(frequency, rope)
    throw new Error(`the reference does not know rope ${JSON.stringify(kind)}`)
  })
}

/** Long wavelengths are slowed down by `factor`, short ones kept, those between are blended. */
function llama3Frequency(frequency: number, rope: RawConfig): number {
  const factor = Number(rope['factor'])
  const lowFactor = Number(rope['low_freq_factor'])
  const highFactor = Number(rope['high_freq_factor'])
  const turns = (Number(rope['original_max_position_embeddings']) * frequency) / (2 * Math.PI)
  if (turns < lowFactor) return frequency / factor
  if (turns > highFactor) return frequency
  const blend = (turns - lowFactor) / (highFactor - lowFactor)
  return (1 - blend) * (frequency / factor) + blend * frequency
}

/** Rotates one head in place: element i pairs with element i + headDim / 2. */
export function rotateHalf(head: Float64Array, position: number, frequencies: Float64Array): void {
  const half = frequencies.length
  for (let i = 0; i < half; i++) {
    const angle = position * frequencies[i]!
    const first = head[i]!
    const second = head[i + half]!
    head[i] = first * Math.cos(angle) - second * Math.sin(angle)
    head[i + half] = second * Math.cos(angle) + first * Math.sin(angle)
  }
}
