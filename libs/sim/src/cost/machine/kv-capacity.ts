// How many tokens of KV an instance holds.
import type { Accelerator } from './accelerators.ts'
import { kvBytesPerToken, weightBytes } from './model-architectures.ts'
import type { ModelArchitecture } from './model-architectures.ts'

/** The rest is for activations and fragmentation; vLLM's default, and the margin that Vidur leaves. */
const DEFAULT_MEMORY_RATIO = 0.9

/**
 * KV tokens that fit beside the weights on `numDevices` (tensor times pipeline parallel) devices; 0 where the weights alone
 * do not fit. `memoryRatio`: share of the memory that weights and KV may take.
 */
export function kvCapacityTokens(accelerator: Accelerator, model: ModelArchitecture, numDevices: number, memoryRatio: number = DEFAULT_MEMORY_RATIO): number {
  const kvBytes = accelerator.memoryBytes * memoryRatio * numDevices - weightBytes(model)
  return Math.max(0, Math.floor(kvBytes / kvBytesPerToken(model)))
}
