// What a speculator answers, checked before anything is made of it. Wrong trees could not change what is emitted; malformed ones must
// not reach the engine.
import type { AnsweredTree, DraftAnswer, DraftAsk } from '@rubato/model'

/** Why it is no answer to this ask; null: it is one. */
export function problemOfAnswer({ trees, unknown }: DraftAnswer, ask: DraftAsk, vocabSize: number): string | null {
  const asked = new Map(ask.sequences.map((sequence) => [sequence.handle, sequence]))
  if (!unknown.every((handle) => asked.has(handle))) return 'it does not know what it was not asked for'
  for (const tree of trees) {
    const sequence = asked.get(tree.handle)
    if (sequence === undefined) return `a tree for handle ${tree.handle}, which was not asked for, or two`
    asked.delete(tree.handle)
    if (tree.numTokens !== sequence.firstToken + sequence.tokenIds.length) return `a tree behind token ${tree.numTokens} of handle ${tree.handle}`
    const problem = problemOfTree(tree, { vocabSize, depth: Math.min(ask.depth, sequence.maxDepth), width: ask.width })
    if (problem !== null) return `handle ${tree.handle}: ${problem}`
  }
  return null
}

function problemOfTree({ tokenIds, parents, ranks, gaps }: AnsweredTree, { vocabSize, depth, width }: { readonly vocabSize: number; readonly depth: number; readonly width: number }): string | null {
  const numNodes = tokenIds.length
  if (parents.length !== numNodes || ranks.length !== numNodes || gaps.length !== numNodes) return 'columns of different lengths'
  if (numNodes === 0 || numNodes > depth * width) return `${numNodes} nodes in ${depth} levels of ${width}`
  const depths: number[] = []
  for (let node = 0; node < numNodes; node += 1) {
    const [tokenId, parent, rank, gap] = [tokenIds[node]!, parents[node]!, ranks[node]!, gaps[node]!]
    if (!Number.isInteger(tokenId) || tokenId < 0 || tokenId >= vocabSize) return `token ${tokenId} of ${vocabSize}`
    if (!Number.isInteger(parent) || parent < -1 || parent >= node) return `node ${node} below node ${parent}`
    if (!Number.isInteger(rank) || rank < 0 || rank >= width || !(gap >= 0 && Number.isFinite(gap))) return `rank ${rank}, gap ${gap}`
    depths.push(parent === -1 ? 1 : depths[parent]! + 1)
    if (depths[node]! > depth) return `a path of ${depths[node]} nodes in ${depth} levels`
  }
  return null
}
