// How fast something grows.

/** Least-squares slope of y over x; null with fewer than two different x. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number | null {
  const count = points.length
  if (count < 2) return null
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / count
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / count
  let [covariance, variance] = [0, 0]
  for (const [x, y] of points) {
    covariance += (x - meanX) * (y - meanY)
    variance += (x - meanX) ** 2
  }
  return variance === 0 ? null : covariance / variance
}
