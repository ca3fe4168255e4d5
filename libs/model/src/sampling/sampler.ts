// Draws the tokens of one sequence: processors, filters, then Gumbel-max with counter-based noise.
//
// 1. A draw is a function of the row, the parameters, the tokens before it and (seed, sequence, position): never of what
//    was drawn elsewhere, in what order, or how many rows a run had.
// 2. Rows are edited for the duration of a call and are bitwise as before when it returns.
// 3. Only commit() changes the sequence; sampleAt() and candidatesAt() leave it as it was.
import { RubatoError } from '@rubato/config'
import { AllowedSet } from './filters/allowed-set.ts'
import { MAX_LOGPROBS, scannedLogprobs } from './logprobs.ts'
import { SequenceNoise } from './noise.ts'
import { GroupMaxima } from './row/group-maxima.ts'
import { Normaliser } from './row/normaliser.ts'
import { MAX_VOCAB_SIZE } from './row/order.ts'
import { RowEdits, addBias, mask, penalise, usesHistory } from './row/row-edits.ts'
import { TokenHistory } from './row/token-history.ts'
import { TopScores, topByLogit, topByPerturbedLogit } from './row/top-scores.ts'
import { finishAfter, stopIdsOf } from './stopping.ts'
import type { SamplingParams, TokenLogprobs } from './params.ts'
import type { ScannedRow } from './row/group-maxima.ts'
import type { Finish } from './stopping.ts'

/** Below this temperature a draw is greedy, as in vLLM. */
const GREEDY_BELOW = 1e-5
/** Widest candidate list that candidatesAt gives. */
const MAX_WIDTH = 16
/** Margin of a draw that had one candidate only. */
export const SOLE_CANDIDATE_MARGIN = 1e30

export interface SamplerShape {
  readonly vocabSize: number
  readonly eosTokenIds: readonly number[]
}

export interface SampledToken {
  readonly tokenId: number
  /**
   * Gap of the best two perturbed logits (logit / temperature + noise); at temperature 0 or top_k 1, of the best two
   * processed logits. Exact below 19 (past that, a runner-up may be one that top-k had dropped). SOLE_CANDIDATE_MARGIN when the filters left one token.
   */
  readonly margin: number
}

export interface SampledTokenWithLogprobs extends SampledToken {
  /** Null when the request did not ask for them. */
  readonly logprobs: TokenLogprobs | null
}

/** A token a draft may propose, with its perturbed logit: the best one is what sample() would draw from the row. */
export interface Candidate {
  readonly tokenId: number
  readonly score: number
}

/** Buffers of a draw; one set serves every sampler of an engine, since draws never overlap. */
interface Scratch {
  /** Of the model's own row, last scanned. */
  readonly rawMaxima: GroupMaxima
  /** Of the row with the request's edits. */
  readonly editedMaxima: GroupMaxima
  readonly normaliser: Normaliser
  readonly allowed: AllowedSet
  readonly edits: RowEdits
  readonly top: TopScores
}

const scratches = new WeakMap<SamplerShape, Scratch>()

function scratchOf(shape: SamplerShape): Scratch {
  const known = scratches.get(shape)
  if (known !== undefined) return known
  const { vocabSize } = shape
  const made = {
    rawMaxima: new GroupMaxima(vocabSize),
    editedMaxima: new GroupMaxima(vocabSize),
    normaliser: new Normaliser(),
    allowed: new AllowedSet(),
    edits: new RowEdits(),
    top: new TopScores(Math.max(MAX_WIDTH, MAX_LOGPROBS)),
  }
  scratches.set(shape, made)
  return made
}

/** The sampler of one sequence. Samplers given the same `shape` object share their buffers. */
export class SequenceSampler {
  readonly params: SamplingParams
  readonly promptTokens: number
  readonly #vocabSize: number
  readonly #stopIds: readonly number[]
  readonly #greedy: boolean
  readonly #history: TokenHistory | null
  readonly #noise: SequenceNoise
  readonly #scratch: Scratch
  #emittedTokens = 0

  /**
   * `params` have passed validateSampling; `sequence` is the index of the choice; `emittedIds` are the tokens emitted
   * before this admission. Throws RubatoError `unsupported_vocabulary` past 2^21 ids.
   */
  constructor(params: SamplingParams, shape: SamplerShape, sequence: number, promptIds: readonly number[], emittedIds: readonly number[]) {
    if (shape.vocabSize > MAX_VOCAB_SIZE) throw new RubatoError('unsupported_vocabulary', `the sampler serves at most ${MAX_VOCAB_SIZE} token ids, the model has ${shape.vocabSize}`)
    this.params = params
    this.promptTokens = promptIds.length
    this.#vocabSize = shape.vocabSize
    this.#stopIds = stopIdsOf(params, shape.eosTokenIds)
    this.#greedy = params.temperature < GREEDY_BELOW || params.topK === 1
    this.#history = usesHistory(params) ? new TokenHistory() : null
    this.#noise = new SequenceNoise(params.seed, sequence)
    this.#scratch = scratchOf(shape)
    if (params.repetitionPenalty !== 1) this.#history?.addPrompt(promptIds)
    for (const tokenId of emittedIds) this.commit(tokenId)
  }

  /** Tokens committed so far, those of before the admission included. */
  get emittedTokens(): number {
    return this.#emittedTokens
  }

  /** Absolute position of the next token: what sample() expects. */
  get nextPosition(): number {
    return this.promptTokens + this.#emittedTokens
  }

  /** Draws the token after the committed ones from a row of logits `[vocabSize]`; commits nothing. */
  sample(logits: Float32Array, position: number): SampledToken {
    return this.sampleAt(logits, position, [])
  }

  /**
   * Draws the token after the committed ones and `pathTokens` (a path of a draft tree, root excluded). `position` is that
   * of the drawn token. Throws RubatoError `no_token_allowed` when no logit is finite.
   */
  sampleAt(logits: Float32Array, position: number, pathTokens: readonly number[]): SampledToken {
    const top = this.#best(logits, position, pathTokens, 2)
    const margin = top.size < 2 ? SOLE_CANDIDATE_MARGIN : top.scores[0]! - top.scores[1]!
    return { tokenId: top.tokenIds[0]!, margin }
  }

  /** sample(), and the log-probabilities of what it drew when the request asked for them: both from one scan of the row. */
  sampleWithLogprobs(logits: Float32Array, position: number): SampledTokenWithLogprobs {
    const { tokenId, margin } = this.sampleAt(logits, position, [])
    const { logprobs } = this.params
    const scanned = { row: logits, maxima: this.#scratch.rawMaxima }
    return { tokenId, margin, logprobs: logprobs === null ? null : scannedLogprobs(scanned, tokenId, logprobs, this.#scratch) }
  }

  /**
   * The best tokens of a draft model's row under this sequence's own parameters and noise, best first: what a draft should
   * propose after `pathTokens`. At most `width` (<= 16), fewer when the filters leave fewer.
   */
  candidatesAt(logits: Float32Array, position: number, pathTokens: readonly number[], width: number): readonly Candidate[] {
    const top = this.#best(logits, position, pathTokens, Math.min(width, MAX_WIDTH))
    return Array.from({ length: top.size }, (_, i) => ({ tokenId: top.tokenIds[i]!, score: top.scores[i]! }))
  }

  /** Appends a token to the sequence. */
  commit(tokenId: number): void {
    this.#history?.push(tokenId)
    this.#emittedTokens++
  }

  /** Whether the last committed token, `tokenId`, ends the sequence. */
  finishAfter(tokenId: number, maxModelLen: number): Finish | null {
    const length = { promptTokens: this.promptTokens, emittedTokens: this.#emittedTokens, maxModelLen }
    return finishAfter(tokenId, this.#stopIds, this.params.maxTokens, length)
  }

  /** Whether this token would end the sequence where min_tokens allow it. */
  endsWith(tokenId: number): boolean {
    return this.#stopIds.includes(tokenId)
  }

  /** Log-probabilities of a token in the model's own row, as the request asked for them; null when it did not. */
  logprobsOf(logits: Float32Array, tokenId: number): TokenLogprobs | null {
    if (this.params.logprobs === null) return null
    const { rawMaxima } = this.#scratch
    rawMaxima.scan(logits)
    return scannedLogprobs({ row: logits, maxima: rawMaxima }, tokenId, this.params.logprobs, this.#scratch)
  }

  #best(logits: Float32Array, position: number, pathTokens: readonly number[], width: number): TopScores {
    if (logits.length !== this.#vocabSize) throw new RubatoError('row_width', `a row has ${logits.length} logits, the vocabulary ${this.#vocabSize}`)
    const { edits, rawMaxima, editedMaxima, top } = this.#scratch
    rawMaxima.scan(logits)
    try {
      this.#process(logits, pathTokens)
      if (edits.count > 0) editedMaxima.amend(rawMaxima, logits, edits)
      this.#draw({ row: logits, maxima: edits.count > 0 ? editedMaxima : rawMaxima }, position, width)
    } finally {
      edits.undo(logits)
    }
    return top
  }

  #process(row: Float32Array, pathTokens: readonly number[]): void {
    const { params } = this
    const { edits } = this.#scratch
    addBias(row, edits, params.logitBias)
    if (this.#emittedTokens + pathTokens.length < params.minTokens) mask(row, edits, this.#stopIds)
    if (this.#history === null) return
    for (const tokenId of pathTokens) this.#history.push(tokenId)
    penalise(row, edits, this.#history, params)
    for (const tokenId of pathTokens) this.#history.pop(tokenId)
  }

  #draw(scanned: ScannedRow, position: number, width: number): void {
    const { allowed, top } = this.#scratch
    scanned.maxima.assertDrawable()
    if (this.#greedy) {
      topByLogit(scanned, width, top)
      return
    }
    this.#noise.moveTo(position)
    const draw = { temperature: this.params.temperature, noise: this.#noise, width }
    topByPerturbedLogit(scanned, allowed.boundingCut(scanned, this.params), draw, top)
    if (!allowed.isCertain(scanned, top)) topByPerturbedLogit(scanned, allowed.exactCut(scanned, this.params), draw, top)
  }
}
