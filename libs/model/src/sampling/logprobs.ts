// Log-probabilities of emitted tokens from the model's unprocessed row: natural log of the softmax at temperature 1.
import { GroupMaxima } from './row/group-maxima.ts'
import { Normaliser } from './row/normaliser.ts'
import { TopScores, topByLogit } from './row/top-scores.ts'
import type { TokenLogprobs } from './params.ts'
import type { ScannedRow } from './row/group-maxima.ts'

/** Most alternatives that can be asked for. */
export const MAX_LOGPROBS = 20
/** What stands for log 0, which JSON cannot carry (vLLM's value). */
const LEAST_LOGPROB = -9999

/** Buffers that the caller may share between calls; their contents are overwritten. */
export interface LogprobScratch {
  readonly normaliser: Normaliser
  /** At least MAX_LOGPROBS wide. */
  readonly top: TopScores
}

/**
 * Log-probability and rank of one token of a row `[vocabSize]`, and the `numTop` (0..20) most likely ones, best first.
 * Equal logits rank by id, lower first. Tokens 40 nats below the best are left out of the normaliser (error below 1e-9).
 * Throws RubatoError `no_token_allowed` when no logit is finite.
 */
export function tokenLogprobs(row: Float32Array, tokenId: number, numTop: number): TokenLogprobs {
  const maxima = new GroupMaxima(row.length)
  maxima.scan(row)
  return scannedLogprobs({ row, maxima }, tokenId, numTop, { normaliser: new Normaliser(), top: new TopScores(MAX_LOGPROBS) })
}

/** tokenLogprobs for a row whose maxima are known. */
export function scannedLogprobs(scanned: ScannedRow, tokenId: number, numTop: number, { normaliser, top }: LogprobScratch): TokenLogprobs {
  const { row, maxima } = scanned
  maxima.assertDrawable()
  normaliser.measure(scanned, tokenId)
  const logNormaliser = maxima.max + Math.log(normaliser.total)
  const logprobOf = (logit: number): number => Math.max(logit - logNormaliser, LEAST_LOGPROB)
  topByLogit(scanned, numTop, top)
  return {
    tokenId,
    logprob: logprobOf(row[tokenId]!),
    rank: 1 + normaliser.numBefore,
    top: Array.from({ length: top.size }, (_, i) => ({ tokenId: top.tokenIds[i]!, logprob: logprobOf(top.scores[i]!) })),
  }
}
