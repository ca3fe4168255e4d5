// Accelerator types that simulated fleets are made of: what one device computes, moves, holds, costs and draws.
//
// Rates, memory and power are the makers' data sheets (dense 16-bit tensor rates, without sparsity). Prices are on-demand
// prices per device and hour as Mélange (Griggs et al. 2024) used them; other price books exist (Splitwise counts an A100 at
// 2.21 and an H100 at 4.76), so a planner takes prices as input and these as the default.

export interface Accelerator {
  readonly name: string
  /** Dense 16-bit tensor peak. */
  readonly flopsPerSec: number
  /** Peak of its memory. */
  readonly memoryBytesPerSec: number
  readonly memoryBytes: number
  readonly pricePerHourUsd: number
  /** Largest draw of the device alone. */
  readonly powerWatts: number
}

const GIB = 2 ** 30
const TERA = 1e12
const GIGA = 1e9

const A100_PRICE = 3.67
const H100_PRICE = 7.516
const H100_WATTS = 700
/** Splitwise §6: at half the GPU power prompts take 1.3x, tokens as long as before, and the machine draws 0.7x. */
const CAPPED_PROMPT_RATIO = 1.3
const CAPPED_POWER_RATIO = 0.7

const TABLE: readonly Accelerator[] = [
  // NVIDIA A100 data sheet, SXM: 312 TFLOP/s, 2,039 GB/s, 400 W.
  { name: 'a100-80gb', flopsPerSec: 312 * TERA, memoryBytesPerSec: 2039 * GIGA, memoryBytes: 80 * GIB, pricePerHourUsd: A100_PRICE, powerWatts: 400 },
  // The same, PCIe: 1,935 GB/s, 300 W. What Sarathi-Serve measured on, with NVLink between pairs.
  { name: 'a100-80gb-pcie', flopsPerSec: 312 * TERA, memoryBytesPerSec: 1935 * GIGA, memoryBytes: 80 * GIB, pricePerHourUsd: A100_PRICE, powerWatts: 300 },
  // NVIDIA H100 data sheet, SXM: 989.4 TFLOP/s, 3.35 TB/s, 700 W. The price is Mélange's, scaled there from a market ratio.
  { name: 'h100-80gb', flopsPerSec: 989.4 * TERA, memoryBytesPerSec: 3350 * GIGA, memoryBytes: 80 * GIB, pricePerHourUsd: H100_PRICE, powerWatts: H100_WATTS },
  {
    name: 'h100-80gb-pcap', flopsPerSec: (989.4 * TERA) / CAPPED_PROMPT_RATIO, memoryBytesPerSec: 3350 * GIGA, memoryBytes: 80 * GIB,
    pricePerHourUsd: H100_PRICE, powerWatts: H100_WATTS * CAPPED_POWER_RATIO,
  },
  // NVIDIA A40 data sheet: 149.7 TFLOP/s, 696 GB/s, 300 W. The price is AIBrix's: 0.3 of an A100.
  { name: 'a40', flopsPerSec: 149.7 * TERA, memoryBytesPerSec: 696 * GIGA, memoryBytes: 48 * GIB, pricePerHourUsd: 0.3 * A100_PRICE, powerWatts: 300 },
  // NVIDIA A10 data sheet: 125 TFLOP/s, 600 GB/s, 150 W. No price in our sources: that of the A10G.
  { name: 'a10', flopsPerSec: 125 * TERA, memoryBytesPerSec: 600 * GIGA, memoryBytes: 24 * GIB, pricePerHourUsd: 1.01, powerWatts: 150 },
  // AWS G5's variant of it: 70 TFLOP/s, 600 GB/s, 300 W.
  { name: 'a10g', flopsPerSec: 70 * TERA, memoryBytesPerSec: 600 * GIGA, memoryBytes: 24 * GIB, pricePerHourUsd: 1.01, powerWatts: 300 },
  // NVIDIA L4 data sheet: 121 TFLOP/s, 300 GB/s, 72 W.
  { name: 'l4', flopsPerSec: 121 * TERA, memoryBytesPerSec: 300 * GIGA, memoryBytes: 24 * GIB, pricePerHourUsd: 0.7, powerWatts: 72 },
]

const BY_NAME = new Map(TABLE.map((accelerator) => [accelerator.name, accelerator]))

export const ACCELERATOR_NAMES: readonly string[] = TABLE.map(({ name }) => name)

/** undefined: there is none of this name. */
export function acceleratorNamed(name: string): Accelerator | undefined {
  return BY_NAME.get(name)
}
