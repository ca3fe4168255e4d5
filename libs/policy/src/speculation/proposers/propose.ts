// Proposers that need no model: what followed the last tokens when they stood earlier in the same sequence.
import type { CandidateTree } from '../candidates.ts'
import { ROOT } from '../candidates.ts'
import type { MatchAcceptance } from './match-acceptance.ts'
import { MAX_MATCH } from './token-chains.ts'
import type { Occurrence, TokenChains } from './token-chains.ts'

/** Most tokens of one proposal. */
export const MAX_PROPOSED = 8
/** The suffix proposer stops where a path is less likely than this. */
const LEAST_PATH_RATIO = 0.1

/**
 * Prompt lookup: a chain of what followed the longest match, the latest of equals. `gaps` are match lengths, which grow along the
 * chain as its tokens would be accepted. null: the last tokens never stood before.
 */
export function proposeByLookup(chains: TokenChains, acceptance: MatchAcceptance, maxTokens: number): CandidateTree | null {
  let best: Occurrence | null = null
  for (const occurrence of chains.occurrences()) if (best === null || occurrence.matchTokens > best.matchTokens) best = occurrence
  if (best === null) return null
  const tokenIds = chains.tokens.slice(best.next, best.next + Math.min(maxTokens, MAX_PROPOSED))
  return tokenIds.length === 0 ? null : chain(tokenIds, best.matchTokens, acceptance, () => 1)
}

/**
 * Suffix decoding: a chain of the most frequent continuations over all occurrences of the longest match, as long as the path stays
 * likely and no longer than twice the match. null: there is no match.
 */
export function proposeBySuffix(chains: TokenChains, acceptance: MatchAcceptance, maxTokens: number): CandidateTree | null {
  const occurrences = chains.occurrences()
  const longest = occurrences.reduce((most, { matchTokens }) => Math.max(most, matchTokens), 0)
  let alive = occurrences.filter(({ matchTokens }) => matchTokens === longest).map(({ next }) => next)
  const limit = Math.min(maxTokens, MAX_PROPOSED, 2 * longest)
  const tokenIds: number[] = []
  const shares: number[] = []
  for (let path = 1; tokenIds.length < limit && alive.length > 0;) {
    const depth = tokenIds.length
    const { tokenId, count } = mostFrequent(alive.map((next) => chains.tokens[next + depth]).filter((token) => token !== undefined))
    if (tokenId === null) break
    // One unseen continuation counts with those seen: a single occurrence is no certainty.
    const share = count / alive.length
    path *= share * acceptance.ratio(longest + depth)
    if (path < LEAST_PATH_RATIO && depth > 0) break
    tokenIds.push(tokenId)
    shares.push(share)
    alive = alive.filter((next) => chains.tokens[next + depth] === tokenId)
  }
  return tokenIds.length === 0 ? null : chain(tokenIds, longest, acceptance, (depth) => shares[depth]!)
}

function mostFrequent(tokenIds: readonly number[]): { readonly tokenId: number | null; readonly count: number } {
  const counts = new Map<number, number>()
  let best: { readonly tokenId: number | null; readonly count: number } = { tokenId: null, count: 0 }
  for (const tokenId of tokenIds) {
    const count = (counts.get(tokenId) ?? 0) + 1
    counts.set(tokenId, count)
    if (count > best.count) best = { tokenId, count }
  }
  return best
}

const STRICTLY_BELOW = 1 - 1e-7

function chain(tokenIds: readonly number[], matchTokens: number, acceptance: MatchAcceptance, share: (depth: number) => number): CandidateTree {
  const pathProbability = new Float64Array(tokenIds.length)
  const gaps: number[] = []
  let path = 1
  for (let depth = 0; depth < tokenIds.length; depth += 1) {
    path *= STRICTLY_BELOW * acceptance.ratio(matchTokens + depth) * share(depth)
    pathProbability[depth] = path
    gaps.push(Math.min(MAX_MATCH, matchTokens + depth))
  }
  return { tokenIds, parents: tokenIds.map((_, depth) => (depth === 0 ? ROOT : depth - 1)), pathProbability, ranks: tokenIds.map(() => 0), gaps }
}
