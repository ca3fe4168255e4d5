// What an instance says, checked before it is acted on: a speculator serves many, and none of them may harm the others.
import { InvalidArgument } from '@rubato/config'
import type { AskedSequence, DraftAsk, DraftedTokens, DraftNews, DraftPeer } from '@rubato/model'
import { validateSampling } from '@rubato/model/sampling'

const MAX_SEQUENCES = 1024
const MAX_TOKENS = 2 ** 20
const MAX_CURVES = 16

/** Why it is no message; null: it is one. The peer is that of the session's hello. */
export function problemOfAsk({ askId, remainingMs, depth, width, calibration: { curves }, leastProbability, sequences }: DraftAsk, peer: DraftPeer): string | null {
  if (!isCount(askId) || !(remainingMs > 0 && Number.isFinite(remainingMs))) return 'an ask without an id or a time'
  if (!isCount(depth) || !isCount(width) || depth < 1 || width < 1) return `a tree of ${depth} levels of ${width} nodes`
  if (curves.length < 1 || curves.length > MAX_CURVES || curves.some(({ bias, slope }) => !Number.isFinite(bias) || !Number.isFinite(slope))) return 'a calibration that is none'
  if (!(leastProbability >= 0 && leastProbability <= 1)) return `a probability of ${leastProbability}`
  const shallow = sequences.find(({ maxDepth }: AskedSequence) => !isCount(maxDepth) || maxDepth < 1)
  return shallow === undefined ? problemOfSequences(sequences, peer) : `nothing is wanted for handle ${shallow.handle}`
}

export function problemOfNews({ sequences, forget }: DraftNews, peer: DraftPeer): string | null {
  return forget.every(isCount) ? problemOfSequences(sequences, peer) : 'a handle that is none'
}

export function problemOfPeer({ vocabSize, eosTokenIds }: DraftPeer): string | null {
  return eosTokenIds.every((tokenId) => isToken(tokenId, vocabSize)) ? null : 'an end-of-sequence id outside the vocabulary'
}

function problemOfSequences(sequences: readonly DraftedTokens[], peer: DraftPeer): string | null {
  if (sequences.length > MAX_SEQUENCES) return `${sequences.length} sequences at once`
  for (const sequence of sequences) {
    const problem = problemOfSequence(sequence, peer)
    if (problem !== null) return `handle ${sequence.handle}: ${problem}`
  }
  return null
}

function problemOfSequence({ handle, introduction, firstToken, tokenIds }: DraftedTokens, { vocabSize, eosTokenIds }: DraftPeer): string | null {
  if (!isCount(handle) || !isCount(firstToken)) return 'a handle or place that is none'
  if (firstToken + tokenIds.length > MAX_TOKENS) return `more than ${MAX_TOKENS} tokens`
  if (!tokenIds.every((tokenId) => isToken(tokenId, vocabSize))) return 'a token outside the vocabulary'
  if (introduction === null) return null
  const { sequence, promptTokens, sampling } = introduction
  if (firstToken !== 0 || tokenIds.length === 0 || !isCount(sequence) || !isCount(promptTokens) || promptTokens > tokenIds.length) return 'an introduction without its tokens'
  try {
    validateSampling(sampling, { vocabSize, eosTokenIds })
    return null
  } catch (error) {
    if (error instanceof InvalidArgument) return error.message
    throw error
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isToken(value: number, vocabSize: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value < vocabSize
}
