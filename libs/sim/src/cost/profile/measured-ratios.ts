// Measured over fitted time, interpolated between measured points that need not form a grid.
//
// Points are a tree: by their first coordinate, then by the second, and so on. A lookup goes down the two branches around
// each coordinate and blends what comes back; outside the measured range the nearest branch counts alone. Blending runs over
// logarithms: batches, rows and contexts are measured in doublings.

export interface RatioPoint {
  /** All points of a tree have equally many, none negative. */
  readonly coordinates: readonly number[]
  readonly ratio: number
}

export interface RatioTree {
  /** Ascending, as logarithms of 1 + coordinate. */
  readonly keys: readonly number[]
  readonly branches: readonly (RatioTree | number)[]
}

function keyOf(coordinate: number): number {
  return Math.log1p(coordinate)
}

/** Null: no points, nothing to correct. Of points with the same coordinates the last counts. */
export function ratioTree(points: readonly RatioPoint[], depth = 0): RatioTree | null {
  if (points.length === 0) return null
  const groups = [...Map.groupBy(points, ({ coordinates }) => coordinates[depth]!)].sort(([a], [b]) => a - b)
  const isLast = depth === points[0]!.coordinates.length - 1
  return {
    keys: groups.map(([coordinate]) => keyOf(coordinate)),
    branches: groups.map(([, own]) => (isLast ? own.at(-1)!.ratio : ratioTree(own, depth + 1)!)),
  }
}

/** The ratio at a place; `coordinates` as many as its points have, from `depth` on. */
export function ratioAt(tree: RatioTree, coordinates: readonly number[], depth = 0): number {
  const { keys, branches } = tree
  const key = keyOf(coordinates[depth]!)
  const last = keys.length - 1
  let right = 0
  while (right < last && keys[right]! < key) right++
  const value = (index: number): number => {
    const branch = branches[index]!
    return typeof branch === 'number' ? branch : ratioAt(branch, coordinates, depth + 1)
  }
  if (right === 0 || key >= keys[right]!) return value(right)
  const share = (key - keys[right - 1]!) / (keys[right]! - keys[right - 1]!)
  return value(right - 1) * (1 - share) + value(right) * share
}
