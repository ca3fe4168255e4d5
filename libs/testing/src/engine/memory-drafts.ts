// Drafts without a model: trees of which a given share of the nodes carries the token that the engine will draw.
import type { DraftTree, DraftWish } from '@rubato/model'
import { mixHash } from './token-rule.ts'

export interface MemoryDraftOptions {
  /** Probability that the best candidate is the right one, and each further one where those before it are wrong. */
  readonly goodRatio: number
  readonly seed?: number
}

/** The token that comes after this path below the sequence's last token; null: the sequence ends before. */
export type NextToken = (path: readonly number[]) => number | null

/** A tree with one path of right guesses, for as long as the dice say so; what it hangs on decides the dice. */
export function memoryDraft({ depth, width }: Pick<DraftWish, 'depth' | 'width'>, { goodRatio, seed = 1 }: MemoryDraftOptions, at: number, nextToken: NextToken): DraftTree {
  const nodes: { tokenId: number; parent: number; rank: number; isRight: boolean; probability: number }[] = []
  let parent = -1
  const path: number[] = []
  for (let level = 0; level < depth; level++) {
    const right = nextToken(path)
    if (right === null) break
    let next = -1
    for (let rank = 0; rank < width; rank++) {
      const dice = (mixHash(mixHash(mixHash(seed, at), level), rank) >>> 0) / 2 ** 32
      const isRight = next < 0 && dice < goodRatio
      const above = parent < 0 ? 1 : nodes[parent]!.probability
      const node = nodes.push({ tokenId: isRight ? right : right + rank + 1, parent, rank, isRight, probability: above * goodRatio ** (rank + 1) * (1 - 1e-6) }) - 1
      if (isRight) next = node
    }
    if (next < 0) break
    parent = next
    path.push(right)
  }
  return sorted(nodes)
}

function sorted(nodes: readonly { tokenId: number; parent: number; rank: number; probability: number }[]): DraftTree {
  const order = nodes.map((_, node) => node).sort((a, b) => nodes[b]!.probability - nodes[a]!.probability || a - b)
  const place = new Map(order.map((node, at) => [node, at]))
  const picked = order.map((node) => nodes[node]!)
  return {
    tokenIds: picked.map(({ tokenId }) => tokenId),
    parents: picked.map((node) => place.get(node.parent) ?? -1),
    pathProbability: Float64Array.from(picked, ({ probability }) => probability),
    ranks: picked.map(({ rank }) => rank),
    gaps: picked.map(() => 1),
  }
}
