// Non-negative least squares for a handful of terms. The optimum is the unconstrained optimum of its own support, so
// with at most six terms all supports are tried: exact, and the smallest support that fits can be preferred.

export const MAX_TERMS = 6

/** A support that costs less than this much more relative error than the best one counts as an equal fit. */
const EQUAL_FIT_RATIO = 1.02
const EQUAL_FIT_ERROR = 0.002

/** Normal equations restricted to a support, solved by Gaussian elimination; null when the columns are dependent. */
function solve(gram: readonly (readonly number[])[], target: readonly number[], support: readonly number[]): number[] | null {
  const size = support.length
  const rows = support.map((i) => [...support.map((j) => gram[i]![j]!), target[i]!])
  for (let column = 0; column < size; column++) {
    let pivot = column
    for (let row = column + 1; row < size; row++) if (Math.abs(rows[row]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = row
    const scale = gram[support[column]!]![support[column]!]!
    if (!(Math.abs(rows[pivot]![column]!) > 1e-10 * scale)) return null
    ;[rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!]
    for (let row = 0; row < size; row++) {
      if (row === column) continue
      const factor = rows[row]![column]! / rows[column]![column]!
      for (let k = column; k <= size; k++) rows[row]![k]! -= factor * rows[column]![k]!
    }
  }
  return rows.map((row, i) => row[size]! / row[i]!)
}

function supportOf(mask: number, numTerms: number): number[] {
  return Array.from({ length: numTerms }, (_, i) => i).filter((i) => (mask >> i) & 1)
}

/** Root mean square of (predicted / measured - 1) given weighted rows and all-ones targets. */
function relativeError(rows: readonly (readonly number[])[], weights: readonly number[]): number {
  let sum = 0
  for (const row of rows) {
    let predicted = 0
    for (let i = 0; i < row.length; i++) predicted += row[i]! * weights[i]!
    sum += (predicted - 1) ** 2
  }
  return Math.sqrt(sum / rows.length)
}

/**
 * Non-negative weights w such that rows * w ~ measured, least in relative error; terms that do not improve the fit are
 * zero. `rows` is [numPoints, numTerms] with numTerms <= 6, `measured` is positive. Scales of the terms do not matter.
 */
export function fitNonNegative(rows: readonly (readonly number[])[], measured: readonly number[]): number[] {
  const numTerms = rows[0]?.length ?? 0
  if (numTerms > MAX_TERMS) throw new RangeError(`at most ${MAX_TERMS} terms, got ${numTerms}`)
  const relative = rows.map((row, i) => row.map((value) => value / measured[i]!))
  const norms = Array.from({ length: numTerms }, (_, term) => Math.hypot(...relative.map((row) => row[term]!)) || 1)
  const scaled = relative.map((row) => row.map((value, term) => value / norms[term]!))
  const gram = norms.map((_, i) => norms.map((_, j) => scaled.reduce((sum, row) => sum + row[i]! * row[j]!, 0)))
  const target = norms.map((_, i) => scaled.reduce((sum, row) => sum + row[i]!, 0))
  const fits = []
  for (let mask = 1; mask < 1 << numTerms; mask++) {
    const support = supportOf(mask, numTerms)
    const solution = solve(gram, target, support)
    if (solution === null || solution.some((weight) => weight < 0)) continue
    const weights = norms.map(() => 0)
    support.forEach((term, i) => (weights[term] = solution[i]!))
    fits.push({ size: support.length, weights, error: relativeError(scaled, weights) })
  }
  const bestError = Math.min(...fits.map((fit) => fit.error))
  const equal = fits.filter((fit) => fit.error <= bestError * EQUAL_FIT_RATIO + EQUAL_FIT_ERROR)
  equal.sort((a, b) => a.size - b.size || a.error - b.error)
  return (equal[0]?.weights ?? norms.map(() => 0)).map((weight, term) => weight / norms[term]!)
}
