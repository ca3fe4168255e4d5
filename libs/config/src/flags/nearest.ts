// The name that a misspelt one was probably meant to be.

/** Levenshtein distance, counting a swap of neighbours as two edits. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substituted, previous[j]! + 1, row[j - 1]! + 1))
    }
    previous = row
  }
  return previous[b.length]!
}

/** The candidate with the fewest edits; the first of equals. `candidates` must not be empty. */
export function nearestName(name: string, candidates: Iterable<string>): string {
  let nearest = ''
  let fewest = Number.MAX_SAFE_INTEGER
  for (const candidate of candidates) {
    const edits = editDistance(name, candidate)
    if (edits < fewest) {
      nearest = candidate
      fewest = edits
    }
  }
  return nearest
}
