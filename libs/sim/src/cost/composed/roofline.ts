// A layer's projections where nobody measured them: computing its tiles and reading its weights, which overlap in part, so
// that the two add up as the sides of a right angle; the plain roofline (the longer of the two) is sharper at its knee than
// the measured operators are.
import type { Accelerator } from '../machine/accelerators.ts'
import { layerWeightCount } from '../machine/model-architectures.ts'
import type { LayerShape } from '../machine/model-architectures.ts'
import { ceilToTile } from './tile.ts'

/**
 * Three constants fitted to Vidur's tables (A100, H100, A40; 7 to 70 billion weights; tp 1 and 2), where they are off by 7 %
 * in the mean: the shares of both peaks, and what a layer takes beside, element-wise operators included.
 */
const FLOPS_RATIO = 0.71
const WEIGHT_READ_RATIO = 0.87
const LAYER_MS = 0.04
const BYTES_PER_WEIGHT = 2

/** Milliseconds of one layer over tokens. */
export function rooflineLayerMs({ flopsPerSec, memoryBytesPerSec }: Accelerator, model: LayerShape, tp: number): (tokens: number) => number {
  const weights = layerWeightCount(model) / tp
  const readMs = (1000 * weights * BYTES_PER_WEIGHT) / (memoryBytesPerSec * WEIGHT_READ_RATIO)
  const tokenMs = (1000 * 2 * weights) / (flopsPerSec * FLOPS_RATIO)
  return (tokens) => LAYER_MS + Math.hypot(readMs, tokenMs * ceilToTile(tokens))
}
