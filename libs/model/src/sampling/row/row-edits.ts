// What a request's processors change in a row of logits: biases, masks, penalties; written into the row for the draw and
// taken back after it, so that the row stays the model's own.
import type { SamplingParams } from '../params.ts'
import type { TokenHistory } from './token-history.ts'

/** True when a parameter looks at the tokens so far. */
export function usesHistory(params: SamplingParams): boolean {
  return params.repetitionPenalty !== 1 || params.presencePenalty !== 0 || params.frequencyPenalty !== 0
}

/** Writes of one draw, with the values they replaced. */
export class RowEdits {
  #tokenIds = new Int32Array(256)
  #replaced = new Float32Array(256)
  #count = 0

  /** Number of writes so far; a token may have been written more than once. */
  get count(): number {
    return this.#count
  }

  tokenIdAt(edit: number): number {
    return this.#tokenIds[edit]!
  }

  /** The logit that a write replaced. */
  replacedAt(edit: number): number {
    return this.#replaced[edit]!
  }

  set(row: Float32Array, tokenId: number, logit: number): void {
    if (this.#count === this.#tokenIds.length) this.#grow()
    this.#tokenIds[this.#count] = tokenId
    this.#replaced[this.#count] = row[tokenId]!
    this.#count++
    row[tokenId] = logit
  }

  /** Restores the row; edits are taken back in reverse, since a token may have been written more than once. */
  undo(row: Float32Array): void {
    for (let i = this.#count - 1; i >= 0; i--) row[this.#tokenIds[i]!] = this.#replaced[i]!
    this.#count = 0
  }

  #grow(): void {
    const tokenIds = new Int32Array(this.#tokenIds.length * 4)
    const replaced = new Float32Array(this.#replaced.length * 4)
    tokenIds.set(this.#tokenIds)
    replaced.set(this.#replaced)
    this.#tokenIds = tokenIds
    this.#replaced = replaced
  }
}

export function addBias(row: Float32Array, edits: RowEdits, bias: SamplingParams['logitBias']): void {
  for (const [tokenId, value] of bias) edits.set(row, tokenId, row[tokenId]! + value)
}

export function mask(row: Float32Array, edits: RowEdits, tokenIds: readonly number[]): void {
  for (const tokenId of tokenIds) edits.set(row, tokenId, -Infinity)
}

/**
 * Penalties as vLLM defines them. Repetition, over prompt and generated tokens: a positive logit is divided by the
 * penalty, another multiplied. Then, over generated tokens only: minus frequencyPenalty per occurrence, minus presencePenalty.
 */
export function penalise(row: Float32Array, edits: RowEdits, history: TokenHistory, params: SamplingParams): void {
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = params
  const { size, tokenIds, generated, inPrompt } = history
  for (let slot = 0; slot < size; slot++) {
    const count = generated[slot]!
    if (count === 0 && inPrompt[slot] === 0) continue
    const tokenId = tokenIds[slot]!
    const logit = row[tokenId]!
    const repeated = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
    edits.set(row, tokenId, count === 0 ? repeated : repeated - frequencyPenalty * count - presencePenalty)
  }
}
