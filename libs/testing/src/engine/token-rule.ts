// How the memory engine picks tokens: a hash of (seed, sequence, context contents, position), with real stop rules.
import type { EngineShape, SamplingParams, StepFinish } from '@rubato/model'

/** One round of murmur3 mixing: order-sensitive, 32 bits. */
export function mixHash(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ Math.imul(value ^ (value >>> 15), 0x2c1b3c6d), 0x297a2d39)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0x85ebca6b)
  return (mixed ^ (mixed >>> 16) ^ 0x9e3779b9) | 0
}

export interface SampledToken {
  readonly tokenId: number
  readonly finish: StepFinish | null
}

/** Everything a token depends on. Greedy requests (temperature 0) ignore seed and sequence. */
export interface TokenQuestion {
  readonly sampling: SamplingParams
  /** Index of the choice. */
  readonly sequence: number
  /** Tokens this choice emitted before this one. */
  readonly numEmitted: number
  readonly contextTokens: number
  readonly contextDigest: number
}

export function sampleToken(question: TokenQuestion, shape: EngineShape): SampledToken {
  const { sampling, numEmitted } = question
  const noise = sampling.temperature === 0 ? 0 : mixHash(sampling.seed | 0, question.sequence + 1)
  const hash = mixHash(mixHash(noise, question.contextTokens), question.contextDigest)
  const isStop = (id: number): boolean => sampling.stopTokenIds.includes(id) || (!sampling.ignoreEos && shape.eosTokenIds.includes(id))
  let tokenId = (hash >>> 0) % shape.vocabSize
  if (numEmitted < sampling.minTokens) while (isStop(tokenId)) tokenId = (tokenId + 1) % shape.vocabSize
  if (isStop(tokenId)) return { tokenId, finish: 'stop' }
  return { tokenId, finish: numEmitted + 1 >= sampling.maxTokens ? 'length' : null }
}
