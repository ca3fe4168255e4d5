// The statistics of measurements: medians, and how sure a ratio of two of them is.
import type { RandomSource } from './seeded-random.ts'

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export interface RatioInterval {
  /** median(a) / median(b). */
  readonly ratio: number
  readonly low: number
  readonly high: number
}

export interface BootstrapOptions {
  /** Share of resamples inside the interval. Default 0.95. */
  readonly confidence?: number
  /** Default 2000. */
  readonly numResamples?: number
  readonly random: Pick<RandomSource, 'next'>
}

/** Percentile bootstrap of median(a) / median(b) over pairs measured together: a pair is drawn or left as a whole. */
export function ratioOfMedians(pairs: readonly (readonly [a: number, b: number])[], options: BootstrapOptions): RatioInterval {
  const { confidence = 0.95, numResamples = 2000, random } = options
  const ratioOf = (sample: readonly (readonly [number, number])[]): number => median(sample.map(([a]) => a)) / median(sample.map(([, b]) => b))
  const ratios = Array.from({ length: numResamples }, () => ratioOf(pairs.map(() => pairs[Math.floor(random.next() * pairs.length)]!)))
  ratios.sort((x, y) => x - y)
  const tail = (1 - confidence) / 2
  const at = (share: number): number => ratios[Math.min(numResamples - 1, Math.max(0, Math.round(share * (numResamples - 1))))]!
  return { ratio: ratioOf(pairs), low: at(tail), high: at(1 - tail) }
}

/** A comparison fails only when the whole interval lies past the limit. */
export function exceeds(interval: RatioInterval, limit: number): boolean {
  return interval.low > limit
}
