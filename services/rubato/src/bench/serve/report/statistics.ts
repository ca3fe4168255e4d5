// Summary statistics, as numpy computes them. Null: there is nothing to summarise.

export function mean(values: readonly number[]): number | null {
  if (values.length === 0) return null
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}

/** Population standard deviation. */
export function standardDeviation(values: readonly number[]): number | null {
  const centre = mean(values)
  if (centre === null) return null
  let sum = 0
  for (const value of values) sum += (value - centre) ** 2
  return Math.sqrt(sum / values.length)
}

/** Linear between neighbours; `sorted` ascends, percent is 0 to 100. */
export function percentile(sorted: readonly number[], percent: number): number | null {
  if (sorted.length === 0) return null
  const position = ((sorted.length - 1) * percent) / 100
  const below = sorted[Math.floor(position)] ?? 0
  const above = sorted[Math.ceil(position)] ?? below
  return below + (above - below) * (position - Math.floor(position))
}
