// How the synthetic engine picks tokens: a hash of (seed, choice, position, every token before), with real stop rules.
import type { EngineShape, SequenceSpec, StepFinish } from '@rubato/model'

/** Digest of a context without tokens. */
export const EMPTY_CONTEXT = 0x2545f491

/** One round of mixing: order-sensitive, 32 bits. */
export function mixDigest(digest: number, value: number): number {
  let mixed = Math.imul(digest ^ value, 0x2c1b3c6d)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0x297a2d39)
  return (mixed ^ (mixed >>> 16)) | 0
}

export interface PickedToken {
  readonly tokenId: number
  readonly finish: StepFinish | null
}

/** The token after `numEmitted` emitted ones, in a context with this digest. Greedy choices ignore seed and choice. */
export function pickToken({ sampling, sequence }: Pick<SequenceSpec, 'sampling' | 'sequence'>, numEmitted: number, contextDigest: number, shape: Pick<EngineShape, 'vocabSize' | 'eosTokenIds'>): PickedToken {
  const noise = sampling.temperature === 0 ? 0 : mixDigest(sampling.seed | 0, sequence + 1)
  const isStop = (id: number): boolean => sampling.stopTokenIds.includes(id) || (!sampling.ignoreEos && shape.eosTokenIds.includes(id))
  let tokenId = (mixDigest(mixDigest(noise, numEmitted), contextDigest) >>> 0) % shape.vocabSize
  if (numEmitted < sampling.minTokens) while (isStop(tokenId)) tokenId = (tokenId + 1) % shape.vocabSize
  if (isStop(tokenId)) return { tokenId, finish: 'stop' }
  return { tokenId, finish: numEmitted + 1 >= sampling.maxTokens ? 'length' : null }
}

/** All tokens of a choice, computed without an engine: what any schedule must give. */
export function syntheticTokens(spec: Pick<SequenceSpec, 'promptIds' | 'sampling' | 'sequence'>, shape: Pick<EngineShape, 'vocabSize' | 'eosTokenIds'>): readonly number[] {
  const tokenIds: number[] = []
  let digest = EMPTY_CONTEXT
  for (const tokenId of spec.promptIds) digest = mixDigest(digest, tokenId)
  for (;;) {
    const { tokenId, finish } = pickToken(spec, tokenIds.length, digest, shape)
    tokenIds.push(tokenId)
    if (finish !== null) return tokenIds
    digest = mixDigest(digest, tokenId)
  }
}
