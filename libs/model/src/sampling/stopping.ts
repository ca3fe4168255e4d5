// Which token ids end a sequence, and when its length does.
import type { SamplingParams } from './params.ts'

/** What a token did to its sequence; a stop wins over a length reached by the same token, as in vLLM. */
export type Finish = { readonly kind: 'stop'; readonly stopTokenId: number } | { readonly kind: 'length' }

/** A sequence's length after a token, and what bounds it. */
export interface SequenceLength {
  readonly promptTokens: number
  /** Including the token in question. */
  readonly emittedTokens: number
  /** Prompt and emitted tokens together may not exceed this. */
  readonly maxModelLen: number
}

/** Ids that stop the sequence: the request's own, and the model's end-of-sequence ids unless `ignoreEos`. */
export function stopIdsOf(params: SamplingParams, eosTokenIds: readonly number[]): readonly number[] {
  return [...new Set([...(params.ignoreEos ? [] : eosTokenIds), ...params.stopTokenIds])]
}

/**
 * Whether a drawn token ends its sequence; null when it goes on. Stop ids below min_tokens need no care here: the sampler
 * masks them until minTokens tokens were emitted.
 */
export function finishAfter(tokenId: number, stopIds: readonly number[], maxTokens: number, length: SequenceLength): Finish | null {
  if (stopIds.includes(tokenId)) return { kind: 'stop', stopTokenId: tokenId }
  const full = length.emittedTokens >= maxTokens || length.promptTokens + length.emittedTokens >= length.maxModelLen
  return full ? { kind: 'length' } : null
}
