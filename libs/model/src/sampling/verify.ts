// Verification of a draft tree by the target's own draws: draw at a node, and go down where a child carries the drawn
// token. Plain decoding is the tree without nodes.
//
// The draft decides only how far one run gets, never which token is drawn: whatever the tree, the tokens are those of
// plain decoding.
import type { TokenTree } from '../engine/step.ts'
import type { TokenLogprobs } from './params.ts'
import type { SequenceSampler } from './sampler.ts'
import type { Finish } from './stopping.ts'

export interface VerifiedTokens {
  /** One more than accepted nodes; the last one is the target's own draw, not yet run. */
  readonly tokenIds: readonly number[]
  /** Nodes whose tokens were drawn, root to leaf: the KV rows to keep beside the root's. */
  readonly acceptedNodes: readonly number[]
  /** Parallel to tokenIds: gap of the best two perturbed logits. */
  readonly margins: readonly number[]
  /** Parallel to tokenIds, when the sequence asked for them. */
  readonly logprobs: readonly TokenLogprobs[] | null
  /** Set when the last token ends the sequence; nothing is drawn past it. */
  readonly finish: Finish | null
}

/**
 * Draws along `tree` from its rows `[numNodes + 1, vocabSize]` (root first, then the nodes in order) and commits what it
 * drew to `sampler`. `position` is that of the first drawn token; `maxModelLen` bounds prompt and emitted tokens together.
 * Among siblings with the same token the first one counts.
 */
export function verifyTree(sampler: SequenceSampler, tree: TokenTree | null, rows: Float32Array, position: number, maxModelLen: number): VerifiedTokens {
  const numNodes = tree?.tokenIds.length ?? 0
  const vocabSize = rows.length / (numNodes + 1)
  const tokenIds: number[] = []
  const acceptedNodes: number[] = []
  const margins: number[] = []
  const logprobs: TokenLogprobs[] = []
  for (let node = -1; ; ) {
    const row = rows.subarray((node + 1) * vocabSize, (node + 2) * vocabSize)
    const { tokenId, margin, logprobs: tokenLogprobs } = sampler.sampleWithLogprobs(row, position + tokenIds.length)
    sampler.commit(tokenId)
    tokenIds.push(tokenId)
    margins.push(margin)
    if (tokenLogprobs !== null) logprobs.push(tokenLogprobs)
    const finish = sampler.finishAfter(tokenId, maxModelLen)
    const child = finish === null && tree !== null ? childWith(tree, node, tokenId) : null
    if (child === null) return { tokenIds, acceptedNodes, margins, logprobs: sampler.params.logprobs === null ? null : logprobs, finish }
    acceptedNodes.push(child)
    node = child
  }
}

/** The first child of `parent` (-1: root) that carries the token; null when there is none. Parents come before children. */
function childWith(tree: TokenTree, parent: number, tokenId: number): number | null {
  for (let node = parent + 1; node < tree.tokenIds.length; node++) {
    if (tree.parents[node] === parent && tree.tokenIds[node] === tokenId) return node
  }
  return null
}
