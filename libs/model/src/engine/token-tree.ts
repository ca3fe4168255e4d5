// Geometry of a draft tree as a run sees it: the sequence's last token is token 0, draft node i is token i + 1.

/** Depth of each token: 0 for the first one, then one more than its parent. */
export function treeDepths(parents: readonly number[]): Int32Array {
  const depths = new Int32Array(parents.length + 1)
  for (let node = 0; node < parents.length; node++) depths[node + 1] = depths[parents[node]! + 1]! + 1
  return depths
}

/** Zeroes the places of `mask` from `at` on that token `from` attends to: itself and what lies between it and the first token. */
export function unmaskAncestors(mask: Float32Array, at: number, parents: readonly number[], from: number): void {
  for (let token = from; token > 0; token = parents[token - 1]! + 1) mask[at + token] = 0
  mask[at] = 0
}
