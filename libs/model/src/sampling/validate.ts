// The one check of sampling parameters: every rule of the contract's `sampling` record, refused by the field's own name.
import { InvalidArgument } from '@rubato/config'
import { MAX_LOGPROBS } from './logprobs.ts'
import { stopIdsOf } from './stopping.ts'
import type { SamplingParams } from './params.ts'

const MAX_PENALTY = 2
const MAX_BIAS = 100

export interface SamplingLimits {
  readonly vocabSize: number
  /** The model's end-of-sequence ids, when known: they count among the ids that min_tokens masks. */
  readonly eosTokenIds?: readonly number[]
}

/** Throws InvalidArgument, with the field's contract name (`sampling.top_p`), at the first rule that `params` break. */
export function validateSampling(params: SamplingParams, limits: SamplingLimits): void {
  checkLengths(params)
  checkDistribution(params)
  checkPenalties(params)
  checkTokenIds(params, limits.vocabSize)
  checkInteger('sampling.seed', params.seed, 0)
  if (params.logprobs !== null) checkInteger('sampling.logprobs', params.logprobs, 0, MAX_LOGPROBS)
  checkSomethingLeft(params, limits)
}

function checkLengths({ maxTokens, minTokens }: SamplingParams): void {
  checkInteger('sampling.max_tokens', maxTokens, 1)
  checkInteger('sampling.min_tokens', minTokens, 0)
  if (minTokens > maxTokens) throw new InvalidArgument('sampling.min_tokens', `min_tokens (${minTokens}) must not exceed max_tokens (${maxTokens})`)
}

function checkDistribution({ temperature, topP, topK, minP }: SamplingParams): void {
  checkThat(temperature >= 0 && Number.isFinite(temperature), 'sampling.temperature', temperature, 'a finite number >= 0 (0 is greedy)')
  checkThat(topP > 0 && topP <= 1, 'sampling.top_p', topP, 'above 0 and at most 1 (1 is off)')
  checkInteger('sampling.top_k', topK, 0)
  checkThat(minP >= 0 && minP <= 1, 'sampling.min_p', minP, 'from 0 (off) to 1')
}

function checkPenalties({ presencePenalty, frequencyPenalty, repetitionPenalty }: SamplingParams): void {
  const wanted = `from -${MAX_PENALTY} to ${MAX_PENALTY}`
  checkThat(Math.abs(presencePenalty) <= MAX_PENALTY, 'sampling.presence_penalty', presencePenalty, wanted)
  checkThat(Math.abs(frequencyPenalty) <= MAX_PENALTY, 'sampling.frequency_penalty', frequencyPenalty, wanted)
  checkThat(repetitionPenalty > 0 && Number.isFinite(repetitionPenalty), 'sampling.repetition_penalty', repetitionPenalty, 'a finite number above 0 (1 is off)')
}

function checkTokenIds({ logitBias, stopTokenIds }: SamplingParams, vocabSize: number): void {
  for (const [tokenId, bias] of logitBias) {
    checkInteger('sampling.logit_bias', tokenId, 0, vocabSize - 1)
    checkThat(Math.abs(bias) <= MAX_BIAS, 'sampling.logit_bias', bias, `from -${MAX_BIAS} to ${MAX_BIAS} (token ${tokenId})`)
  }
  for (const tokenId of stopTokenIds) checkInteger('sampling.stop_token_ids', tokenId, 0, vocabSize - 1)
}

/** While min_tokens holds, the stop ids are masked: at least one other id must remain. */
function checkSomethingLeft(params: SamplingParams, { vocabSize, eosTokenIds = [] }: SamplingLimits): void {
  if (params.minTokens === 0 || stopIdsOf(params, eosTokenIds).length < vocabSize) return
  throw new InvalidArgument('sampling.stop_token_ids', `every one of the ${vocabSize} token ids is a stop id, so min_tokens leaves none to draw; name fewer stop ids or set min_tokens to 0`)
}

function checkInteger(field: string, value: number, least: number, greatest = Number.MAX_SAFE_INTEGER): void {
  const wanted = greatest === Number.MAX_SAFE_INTEGER ? `an integer >= ${least}` : `an integer from ${least} to ${greatest}`
  checkThat(Number.isSafeInteger(value) && value >= least && value <= greatest, field, value, wanted)
}

function checkThat(holds: boolean, field: string, value: number, wanted: string): void {
  if (!holds) throw new InvalidArgument(field, `${field.replace('sampling.', '')} must be ${wanted}, not ${value}`)
}
