// The definition of a draw, written for reading and not for speed: everything is evaluated in full and sorted. The tests
// hold the real sampler to it bit for bit; nothing else uses it.
import { SequenceNoise, gumbelOf, noiseBits } from '../noise.ts'
import { SOLE_CANDIDATE_MARGIN } from '../sampler.ts'
import { stopIdsOf } from '../stopping.ts'
import type { SamplingParams } from '../params.ts'
import type { SampledToken } from '../sampler.ts'

/** What a draw depends on beside its row. */
export interface DrawContext {
  readonly params: SamplingParams
  readonly eosTokenIds: readonly number[]
  readonly sequence: number
  readonly promptIds: readonly number[]
  /** Emitted tokens and, in a draft tree, the path below them. */
  readonly generatedIds: readonly number[]
}

/** The row after biases, masks and penalties; the given one is left alone. */
export function naiveProcess(row: Float32Array, { params, eosTokenIds, promptIds, generatedIds }: DrawContext): Float32Array {
  const processed = Float32Array.from(row)
  for (const [tokenId, bias] of params.logitBias) processed[tokenId] = processed[tokenId]! + bias
  if (generatedIds.length < params.minTokens) for (const tokenId of stopIdsOf(params, eosTokenIds)) processed[tokenId] = -Infinity
  return processed.map((logit, tokenId) => {
    const count = generatedIds.filter((id) => id === tokenId).length
    const seen = count > 0 || promptIds.includes(tokenId)
    const repeated = !seen || params.repetitionPenalty === 1 ? logit : logit > 0 ? logit / params.repetitionPenalty : logit * params.repetitionPenalty
    return repeated - params.frequencyPenalty * count - (count > 0 ? params.presencePenalty : 0)
  })
}

/** Token ids that min-p, top-k and top-p leave, best first (larger logit, then lower id). */
export function naiveAllowed(processed: Float32Array, { minP, topK, topP, temperature }: SamplingParams): number[] {
  let ids = [...processed.keys()].filter((id) => processed[id]! > -Infinity)
  ids.sort((a, b) => processed[b]! - processed[a]! || a - b)
  const max = processed[ids[0]!]!
  if (minP > 0) ids = ids.filter((id) => processed[id]! >= max + temperature * Math.log(minP))
  if (topK > 0) ids = ids.slice(0, topK)
  if (topP === 1) return ids
  const weights = ids.map((id) => Math.exp((processed[id]! - max) / temperature))
  let missing = topP * weights.reduce((sum, weight) => sum + weight, 0)
  const last = weights.findIndex((weight) => (missing -= weight) <= 0)
  return last < 0 ? ids : ids.slice(0, last + 1)
}

/** The distribution a draw follows, by token id; temperature > 0. */
export function naiveDistribution(row: Float32Array, context: DrawContext): Float64Array {
  const processed = naiveProcess(row, context)
  const { temperature } = context.params
  const probabilities = new Float64Array(row.length)
  const allowed = naiveAllowed(processed, context.params)
  const weightOf = (id: number): number => Math.exp((processed[id]! - processed[allowed[0]!]!) / temperature)
  const total = allowed.reduce((sum, id) => sum + weightOf(id), 0)
  for (const id of allowed) probabilities[id] = weightOf(id) / total
  return probabilities
}

/** The draw itself: argmax of logit / temperature + noise over all allowed tokens, none skipped. */
export function naiveDraw(row: Float32Array, position: number, context: DrawContext): SampledToken {
  const processed = naiveProcess(row, context)
  const { temperature, topK, seed } = context.params
  const greedy = temperature === 0 || topK === 1
  const noise = new SequenceNoise(seed, context.sequence)
  noise.moveTo(position)
  const ids = greedy ? [...processed.keys()].filter((id) => processed[id]! > -Infinity) : naiveAllowed(processed, context.params)
  const scored = ids.map((id) => ({ id, score: greedy ? processed[id]! : processed[id]! / temperature + gumbelOf(noiseBits(id, noise.keyA, noise.keyB)) }))
  scored.sort((a, b) => b.score - a.score || a.id - b.id)
  return { tokenId: scored[0]!.id, margin: scored[1] === undefined ? SOLE_CANDIDATE_MARGIN : scored[0]!.score - scored[1].score }
}

/** Parameters with every processor and filter off, for tests to build on. */
export function plainParams(changes: Partial<SamplingParams> = {}): SamplingParams {
  return {
    maxTokens: 1000, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
    logitBias: [], seed: 1, stopTokenIds: [], ignoreEos: false, logprobs: null, ...changes,
  }
}
