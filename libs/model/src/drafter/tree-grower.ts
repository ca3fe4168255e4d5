// Grows one sequence's draft tree level by level: AdaServe §4.3's beam, with the sampler's own noise for the choice of tokens
// (papers on speculation call it shared noise) and learnt acceptance for the ranking.
//
// 1. Every level adds at most `width` nodes, those of the highest path probability; their parents are nodes of the level above.
//    What is less likely than a limit is not added, but for the very first node: every draft is to say something.
// 2. A child is strictly less likely than its parent, so that any prefix of the sorted tree is closed under parents.
// 3. Nothing grows below a token that would end the sequence.
import { conditionalAcceptance } from '@rubato/policy'
import type { Calibration } from '@rubato/policy'
import type { SequenceSampler } from '../sampling/index.ts'
import type { DraftTree } from './draft-tree.ts'

/** The parent of the first nodes: the last committed token. */
export const ROOT = -1
/** Keeps children below their parents where the estimate says that acceptance is certain. */
const STRICTLY_BELOW = 1 - 1e-7
/** Gap of a candidate that the filters left without a rival. */
const SOLE_GAP = 30

export interface GrowLimits {
  /** Nodes per level. */
  readonly width: number
  readonly calibration: Calibration
  /** Path probability below which nothing is drafted, but for the likeliest first node; and below which nothing is grown from a node. @default 0 */
  readonly leastProbability?: number
  readonly leastGrown?: number
}

export class TreeGrower {
  readonly #sampler: SequenceSampler
  readonly #tokenIds: number[] = []
  readonly #parents: number[] = []
  readonly #depths: number[] = []
  readonly #pathProbability: number[] = []
  readonly #ranks: number[] = []
  readonly #gaps: number[] = []
  #frontier: readonly number[] = [ROOT]

  constructor(sampler: SequenceSampler) {
    this.#sampler = sampler
  }

  get isGrown(): boolean {
    return this.#frontier.length === 0
  }

  /** Nodes that the next level grows from; at first the root alone. */
  get frontier(): readonly number[] {
    return this.#frontier
  }

  /** Nodes so far in order of growth, parents first. */
  get tokenIds(): readonly number[] {
    return this.#tokenIds
  }

  get parents(): readonly number[] {
    return this.#parents
  }

  /** Adds a level. `rowOf` gives the draft's logits at a node, -1 being the last committed token. */
  grow(rowOf: (node: number) => Float32Array, { width, calibration, leastProbability = 0, leastGrown = 0 }: GrowLimits): void {
    const found: { parent: number; tokenId: number; probability: number; rank: number; gap: number }[] = []
    for (const parent of this.#frontier) {
      const path = this.#pathTo(parent)
      const candidates = this.#sampler.candidatesAt(rowOf(parent), this.#sampler.nextPosition + path.length, path, width + 1)
      const ceiling = (parent === ROOT ? 1 : this.#pathProbability[parent]!) * STRICTLY_BELOW
      for (let rank = 0; rank < Math.min(width, candidates.length); rank += 1) {
        const rival = candidates[rank === 0 ? 1 : 0]
        const gap = rival === undefined ? SOLE_GAP : Math.abs(candidates[rank]!.score - rival.score)
        found.push({ parent, tokenId: candidates[rank]!.tokenId, probability: ceiling * conditionalAcceptance(calibration, rank, gap), rank, gap })
      }
    }
    found.sort((a, b) => b.probability - a.probability)
    const grown: number[] = []
    for (const { parent, tokenId, probability, rank, gap } of found.slice(0, width)) {
      if (probability < leastProbability && this.#tokenIds.length > 0) break
      const node = this.#tokenIds.push(tokenId) - 1
      this.#parents.push(parent)
      this.#depths.push(parent === ROOT ? 1 : this.#depths[parent]! + 1)
      this.#pathProbability.push(probability)
      this.#ranks.push(rank)
      this.#gaps.push(gap)
      if (probability >= leastGrown && !this.#sampler.endsWith(tokenId)) grown.push(node)
    }
    this.#frontier = grown
  }

  /** The tree with its nodes in order of falling path probability, shallower first among equals. */
  finish(): DraftTree {
    const order = this.#tokenIds.map((_, node) => node)
    order.sort((a, b) => this.#pathProbability[b]! - this.#pathProbability[a]! || this.#depths[a]! - this.#depths[b]! || a - b)
    const place = new Map(order.map((node, index) => [node, index]))
    const pick = <T>(column: readonly T[]): T[] => order.map((node) => column[node]!)
    return {
      tokenIds: pick(this.#tokenIds),
      parents: order.map((node) => place.get(this.#parents[node]!) ?? ROOT),
      pathProbability: Float64Array.from(pick(this.#pathProbability)),
      ranks: pick(this.#ranks),
      gaps: pick(this.#gaps),
    }
  }

  #pathTo(node: number): number[] {
    const path: number[] = []
    for (let at = node; at !== ROOT; at = this.#parents[at]!) path.push(this.#tokenIds[at]!)
    return path.reverse()
  }
}
