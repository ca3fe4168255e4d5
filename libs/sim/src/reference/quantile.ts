// Quantiles as pandas and numpy take them: linear between the two nearest values.
import { RubatoError } from '@rubato/config'

/** The q-quantile (0..1) of values in any order. Throws RubatoError `no_values` when there are none. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new RubatoError('no_values', 'no quantile of an empty list')
  const sorted = Float64Array.from(values).sort()
  const position = q * (sorted.length - 1)
  const below = Math.floor(position)
  const low = sorted[below]!
  return low + (position - below) * ((sorted[below + 1] ?? low) - low)
}
