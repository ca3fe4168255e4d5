// Arithmetic of cells. Prompt cells are [k * C, min((k + 1) * C, promptLen)); emitted tokens are replayed in pieces of at most C
// from promptLen on. Both are "C tokens at a time from here", because work always starts at a multiple of C or at promptLen.

/** Tokens of the next cell of a range that ends at `end`. */
export function nextCellTokens(start: number, end: number, cellTokens: number): number {
  return Math.min(cellTokens, end - start)
}

/** Sizes of all cells of [start, end) in order. */
export function cellSizes(start: number, end: number, cellTokens: number): number[] {
  const sizes: number[] = []
  for (let at = start; at < end; at += cellTokens) sizes.push(nextCellTokens(at, end, cellTokens))
  return sizes
}

/** How much of a known prefix a prompt may skip: whole cells only, and never the cell with the prompt's last token. */
export function usableHitTokens(knownTokens: number, promptLen: number, cellTokens: number): number {
  return Math.floor(Math.min(knownTokens, promptLen - 1) / cellTokens) * cellTokens
}
