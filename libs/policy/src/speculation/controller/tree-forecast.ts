// What a tree of a given depth and width will bring before it is drawn: the drafter's beam over mean acceptances.

export type MeanAcceptance = (depth: number, rank: number) => number

/**
 * Expected tokens when the best 0, 1, 2, ... nodes of a tree with `depth` levels of at most `width` nodes are verified, the
 * guaranteed one included: entry m for m nodes. O(depth * width^2).
 */
export function expectedTokensByNodes(depth: number, width: number, acceptance: MeanAcceptance): Float64Array {
  const nodes: number[] = []
  let frontier: readonly number[] = [1]
  for (let level = 1; level <= depth; level += 1) {
    const found: number[] = []
    for (const reached of frontier) for (let rank = 0; rank < width; rank += 1) found.push(reached * acceptance(level, rank))
    found.sort((a, b) => b - a)
    frontier = found.slice(0, width)
    nodes.push(...frontier)
  }
  nodes.sort((a, b) => b - a)
  const expected = new Float64Array(nodes.length + 1)
  expected[0] = 1
  for (const [place, probability] of nodes.entries()) expected[place + 1] = expected[place]! + probability
  return expected
}
