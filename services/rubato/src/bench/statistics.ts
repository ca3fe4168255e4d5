// The statistics of measurements, as numpy computes them, and how sure a ratio of two medians is.
import type { RandomStream } from '@rubato/sim'

/** The middle value, or the mean of the middle two. Throws RangeError on nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Null: there is nothing to average. */
export function mean(values: readonly number[] | Float64Array): number | null {
  if (values.length === 0) return null
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}

/** Population standard deviation; null of nothing. */
export function standardDeviation(values: readonly number[]): number | null {
  const centre = mean(values)
  if (centre === null) return null
  let sum = 0
  for (const value of values) sum += (value - centre) ** 2
  return Math.sqrt(sum / values.length)
}

/** Linear between neighbours; `sorted` ascends, percent is 0 to 100. Null of nothing. */
export function percentile(sorted: ArrayLike<number>, percent: number): number | null {
  if (sorted.length === 0) return null
  const position = ((sorted.length - 1) * percent) / 100
  const below = sorted[Math.floor(position)] ?? 0
  const above = sorted[Math.ceil(position)] ?? below
  return below + (above - below) * (position - Math.floor(position))
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
  readonly random: Pick<RandomStream, 'next'>
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
