// A piecewise linear curve through measured points.

export interface Curve {
  /** Its x values, ascending. */
  readonly xs: Float64Array
  readonly ys: Float64Array
}

/** What lies outside the points: the first or last piece goes on (extend), or its end stays (level). */
export type CurveEnd = 'extend' | 'level'

export interface CurvePoint {
  readonly x: number
  readonly y: number
}

/** Through the points in any order; of points with one x the median counts. Throws RangeError without points. */
export function curveThrough(points: Iterable<CurvePoint>): Curve {
  const byX = Map.groupBy(points, ({ x }) => x)
  if (byX.size === 0) throw new RangeError('a curve needs at least one point')
  const medians = [...byX].map(([x, same]) => ({ x, y: median(same.map(({ y }) => y)) })).sort((a, b) => a.x - b.x)
  return { xs: Float64Array.from(medians, ({ x }) => x), ys: Float64Array.from(medians, ({ y }) => y) }
}

/** Throws RangeError for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no median of nothing')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Index of the first x that is at least this one; xs.length: there is none. */
export function indexAtLeast(xs: Float64Array, x: number): number {
  let low = 0
  let high = xs.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (xs[middle]! < x) low = middle + 1
    else high = middle
  }
  return low
}

/** y at x; between points linear. */
export function curveAt({ xs, ys }: Curve, x: number, below: CurveEnd = 'extend', above: CurveEnd = 'extend'): number {
  const last = xs.length - 1
  if (last === 0 || (below === 'level' && x <= xs[0]!)) return ys[0]!
  if (above === 'level' && x >= xs[last]!) return ys[last]!
  const right = Math.min(last, Math.max(1, indexAtLeast(xs, x)))
  const left = right - 1
  return ys[left]! + ((ys[right]! - ys[left]!) * (x - xs[left]!)) / (xs[right]! - xs[left]!)
}
