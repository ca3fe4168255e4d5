// A tree of candidate tokens below a sequence's last token, as every proposer offers it, and what can be told of it.

/** Columns, best first. Structured-clonable, and the same as what a draft model gives. */
export interface CandidateTree {
  readonly tokenIds: readonly number[]
  /** Index of the parent node; -1 is the sequence's last token. Parents come before children. */
  readonly parents: readonly number[]
  /** Estimated probability that the target accepts the whole path to the node; non-increasing. */
  readonly pathProbability: Float64Array
  /** Place among its siblings in the proposer's own order, and the signal that the estimate was made from. */
  readonly ranks: readonly number[]
  readonly gaps: readonly number[]
}

/** The parent of the first nodes. */
export const ROOT = -1

/** Levels of the tree's first `numNodes` nodes. */
export function depthOf({ parents }: Pick<CandidateTree, 'parents'>, numNodes: number): number {
  const depths = new Int32Array(numNodes)
  let deepest = 0
  for (let node = 0; node < numNodes; node += 1) {
    const parent = parents[node]!
    depths[node] = parent === ROOT ? 1 : depths[parent]! + 1
    deepest = Math.max(deepest, depths[node]!)
  }
  return deepest
}

/** How far a tree is grown: from no node less likely, to no level beyond. */
export interface GrowthLimits {
  readonly leastGrown: number
  readonly depth: number
}

/** Nodes that something was to grow from, the root not included. O(nodes). */
export function numGrown({ parents, pathProbability }: Pick<CandidateTree, 'parents' | 'pathProbability'>, { leastGrown, depth }: GrowthLimits): number {
  const depths = new Int32Array(parents.length)
  let count = 0
  for (let node = 0; node < parents.length; node += 1) {
    depths[node] = (parents[node] === ROOT ? 0 : depths[parents[node]!]!) + 1
    count += Number(pathProbability[node]! >= leastGrown && depths[node]! < depth)
  }
  return count
}

/** The first `numNodes` nodes without those deeper than `maxDepth`: still closed under parents. */
export function prunedTree(tree: Pick<CandidateTree, 'tokenIds' | 'parents'>, numNodes: number, maxDepth: number): { readonly tokenIds: readonly number[]; readonly parents: readonly number[] } {
  if (depthOf(tree, numNodes) <= maxDepth) return { tokenIds: tree.tokenIds.slice(0, numNodes), parents: tree.parents.slice(0, numNodes) }
  const depths = new Int32Array(numNodes)
  const places = new Int32Array(numNodes)
  const tokenIds: number[] = []
  const parents: number[] = []
  for (let node = 0; node < numNodes; node += 1) {
    const parent = tree.parents[node]!
    depths[node] = parent === ROOT ? 1 : depths[parent]! + 1
    if (depths[node]! > maxDepth) continue
    places[node] = tokenIds.push(tree.tokenIds[node]!) - 1
    parents.push(parent === ROOT ? ROOT : places[parent]!)
  }
  return { tokenIds, parents }
}

/** Keeps children below their parents where an estimate says that acceptance is certain. */
const STRICTLY_BELOW = 1 - 1e-7

/**
 * The same nodes with path probabilities from another rule for one node given its parent, sorted anew: shallower first among
 * equals. Paths never grow likelier on their way down, so that every prefix stays closed under parents.
 */
export function reestimated(tree: CandidateTree, conditional: (rank: number, gap: number, depth: number) => number): CandidateTree {
  const numNodes = tree.tokenIds.length
  const probability = new Float64Array(numNodes)
  const depths = new Int32Array(numNodes)
  for (let node = 0; node < numNodes; node += 1) {
    const parent = tree.parents[node]!
    depths[node] = parent === ROOT ? 1 : depths[parent]! + 1
    probability[node] = (parent === ROOT ? 1 : probability[parent]!) * STRICTLY_BELOW * conditional(tree.ranks[node]!, tree.gaps[node]!, depths[node]!)
  }
  const order = Array.from({ length: numNodes }, (_, node) => node)
  order.sort((a, b) => probability[b]! - probability[a]! || depths[a]! - depths[b]! || a - b)
  const place = new Int32Array(numNodes)
  for (const [at, node] of order.entries()) place[node] = at
  const pick = <T>(column: readonly T[]): T[] => order.map((node) => column[node]!)
  return {
    tokenIds: pick(tree.tokenIds),
    parents: order.map((node) => (tree.parents[node] === ROOT ? ROOT : place[tree.parents[node]!]!)),
    pathProbability: Float64Array.from(order, (node) => probability[node]!),
    ranks: pick(tree.ranks),
    gaps: pick(tree.gaps),
  }
}

/** A node of which the target's own draw has decided. */
export interface DecidedNode {
  readonly rank: number
  readonly gap: number
  /** 1 for a child of the root. */
  readonly depth: number
  readonly accepted: boolean
}

/**
 * What the tokens that the target drew say of the tree's nodes, whether these were verified or not: the children of every node
 * that was reached. Starts below `from`, `depth` levels down; also says where the walk ended, null once it left the tree.
 */
export function decidedNodes(tree: CandidateTree, tokenIds: readonly number[], from: number, depth: number): { readonly nodes: readonly DecidedNode[]; readonly at: number | null } {
  const nodes: DecidedNode[] = []
  let at = from
  for (const [step, tokenId] of tokenIds.entries()) {
    let next: number | null = null
    for (let node = at + 1; node < tree.tokenIds.length; node += 1) {
      if (tree.parents[node] !== at) continue
      const accepted = next === null && tree.tokenIds[node] === tokenId
      if (accepted) next = node
      nodes.push({ rank: tree.ranks[node]!, gap: tree.gaps[node]!, depth: depth + step + 1, accepted })
    }
    if (next === null) return { nodes, at: null }
    at = next
  }
  return { nodes, at }
}
