// Rotary position embedding tables for every supported scaling.
import type { ModelConfig, RopeScaling } from '../checkpoint/checkpoint.ts'

/** Llama 3.1 scaling: long wavelengths are divided by `factor`, short ones kept, those between blended. */
function scaleFrequency(frequency: number, scaling: RopeScaling): number {
  switch (scaling.kind) {
    case 'none':
      return frequency
    case 'linear':
      return frequency / scaling.factor
    case 'llama3': {
      const wavelength = (2 * Math.PI) / frequency
      const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling
      if (wavelength < originalMaxPositions / highFreqFactor) return frequency
      if (wavelength > originalMaxPositions / lowFreqFactor) return frequency / factor
      const smooth = (originalMaxPositions / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
      return ((1 - smooth) * frequency) / factor + smooth * frequency
    }
  }
}

/** cos and sin of every position and frequency: two tables of [numPositions, headDim / 2], row-major. */
export function ropeTables(config: ModelConfig, numPositions: number): { readonly cos: Float32Array; readonly sin: Float32Array } {
  const half = config.headDim / 2
  const cos = new Float32Array(numPositions * half)
  const sin = new Float32Array(numPositions * half)
  for (let i = 0; i < half; i++) {
    const frequency = scaleFrequency(config.ropeTheta ** ((-2 * i) / config.headDim), config.ropeScaling)
    for (let position = 0; position < numPositions; position++) {
      cos[position * half + i] = Math.cos(position * frequency)
      sin[position * half + i] = Math.sin(position * frequency)
    }
  }
  return { cos, sin }
}
