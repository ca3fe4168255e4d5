// What is proposed for one sequence, and since when it decodes here.
import { TokenChains, decidedNodes } from '@rubato/policy'
import type { CandidateTree } from '@rubato/policy'
import type { EngineSlot } from '../request/engine-slot.ts'
import { tokensBetween } from '../request/request.ts'
import type { Sequence } from '../request/request.ts'

type DecidedNodes = ReturnType<typeof decidedNodes>['nodes']

/** A tree that the target's tokens are being compared with, verified or not: it was proposed for the sequence's stay in this slot, behind its token `rootTokens`. */
export class ProposedTree {
  readonly source: 'draft' | 'lookup'
  readonly tree: CandidateTree
  readonly slot: EngineSlot
  readonly #rootTokens: number
  #at: number | null = -1
  #depth = 0

  constructor({ source, tree, slot, rootTokens }: { readonly source: 'draft' | 'lookup'; readonly tree: CandidateTree; readonly slot: EngineSlot; readonly rootTokens: number }) {
    this.source = source
    this.tree = tree
    this.slot = slot
    this.#rootTokens = rootTokens
  }

  /** The sequence, with so many tokens, stands where it was proposed: it can be verified. */
  isFresh(slot: EngineSlot, totalTokens: number): boolean {
    return this.#at === -1 && this.slot === slot && this.#rootTokens === totalTokens
  }

  get isOver(): boolean {
    return this.#at === null
  }

  /** The target emitted these tokens behind the first `totalTokens`: what that says of the nodes. A tree that missed tokens is over. */
  follow(tokenIds: readonly number[], totalTokens: number): DecidedNodes {
    if (this.#rootTokens + this.#depth !== totalTokens) this.#at = null
    if (this.#at === null) return []
    const { nodes, at } = decidedNodes(this.tree, tokenIds, this.#at, this.#depth)
    this.#at = at
    this.#depth += tokenIds.length
    return nodes
  }
}

export class SequenceProposals {
  draft: ProposedTree | null = null
  lookup: ProposedTree | null = null
  /** The draft model has its KV, but for what was committed since. */
  wasDrafted = false
  #chains: TokenChains | null = null

  /** The sequence's tokens, indexed for lookups up to the last one. */
  chainsOf(sequence: Sequence): TokenChains {
    this.#chains ??= new TokenChains()
    if (this.#chains.length < sequence.totalTokens) this.#chains.append(tokensBetween(sequence, this.#chains.length, sequence.totalTokens))
    return this.#chains
  }

  /** The likelier of the fresh proposals; null: there is none for this stay and place. */
  fresh(slot: EngineSlot, totalTokens: number): ProposedTree | null {
    const draft = this.draft?.isFresh(slot, totalTokens) === true ? this.draft : null
    const lookup = this.lookup?.isFresh(slot, totalTokens) === true ? this.lookup : null
    if (draft === null || lookup === null) return draft ?? lookup
    return expectedOf(lookup) > expectedOf(draft) ? lookup : draft
  }
}

function expectedOf({ tree }: ProposedTree): number {
  return tree.pathProbability.reduce((sum, probability) => sum + probability, 0)
}
