// Log-probabilities of emitted tokens from the model's unprocessed row: natural log of the softmax at temperature 1.
import { GroupMaxima } from './row/group-maxima.ts'
import { MassBins } from './row/mass-bins.ts'
import { TopScores, topByLogit } from './row/top-scores.ts'
import type { TokenLogprobs } from './params.ts'

/** Most alternatives that can be asked for. */
export const MAX_LOGPROBS = 20
/** What stands for log 0, which JSON cannot carry (vLLM's value). */
const LEAST_LOGPROB = -9999

/** Buffers that the caller may share between calls; their contents are overwritten. */
export interface LogprobScratch {
  readonly maxima: GroupMaxima
  readonly bins: MassBins
}

/**
 * Log-probability and rank of one token of a row `[vocabSize]`, and the `numTop` (0..20) most likely ones, best first.
 * Equal logits rank by id, lower first. Tokens 40 nats below the best are left out of the normaliser (error below 1e-9).
 */
export function tokenLogprobs(row: Float32Array, tokenId: number, numTop: number, scratch?: LogprobScratch): TokenLogprobs {
  const { maxima, bins } = scratch ?? { maxima: new GroupMaxima(row.length), bins: new MassBins() }
  maxima.scan(row)
  const scanned = { row, maxima }
  bins.fill(scanned, 1)
  const logNormaliser = maxima.max + Math.log(bins.total)
  const logprobOf = (logit: number): number => Math.max(logit - logNormaliser, LEAST_LOGPROB)
  const top = new TopScores(numTop)
  top.reset(numTop)
  if (numTop > 0) topByLogit(scanned, top)
  return {
    tokenId,
    logprob: logprobOf(row[tokenId]!),
    rank: 1 + (bins.numBefore(scanned, tokenId) ?? numBefore(row, tokenId)),
    top: Array.from({ length: top.size }, (_, i) => ({ tokenId: top.tokenIds[i]!, logprob: logprobOf(top.scores[i]!) })),
  }
}

/** Number of tokens before this one, counted one by one. */
function numBefore(row: Float32Array, tokenId: number): number {
  const chosen = row[tokenId]!
  let before = 0
  for (let i = 0; i < row.length; i++) {
    if (row[i]! > chosen || (row[i] === chosen && i < tokenId)) before++
  }
  return before
}
