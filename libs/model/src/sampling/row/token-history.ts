// How often each token stands in a sequence's prompt and in what it generated: all that penalties need to know. Sparse:
// one slot per distinct token. A path of a draft tree is pushed, looked at and popped again.

export class TokenHistory {
  readonly #slotOf = new Map<number, number>()
  #tokenIds = new Int32Array(64)
  #generated = new Int32Array(64)
  #inPrompt = new Uint8Array(64)
  #size = 0

  /** Number of slots: distinct tokens seen so far. A slot may stand for a token that was popped again. */
  get size(): number {
    return this.#size
  }

  addPrompt(tokenIds: readonly number[]): void {
    for (const tokenId of tokenIds) {
      const slot = this.#slot(tokenId)
      this.#inPrompt[slot] = 1
    }
  }

  push(tokenId: number): void {
    const slot = this.#slot(tokenId) // first: it may replace the arrays
    this.#generated[slot]!++
  }

  /** Takes back one push of this token. */
  pop(tokenId: number): void {
    const slot = this.#slot(tokenId)
    this.#generated[slot]!--
  }

  /** Token of each slot; like the two below, valid until the next token is added. */
  get tokenIds(): Int32Array {
    return this.#tokenIds
  }

  /** How often each slot's token was generated. */
  get generated(): Int32Array {
    return this.#generated
  }

  /** 1 for a slot whose token stands in the prompt. */
  get inPrompt(): Uint8Array {
    return this.#inPrompt
  }

  #slot(tokenId: number): number {
    const known = this.#slotOf.get(tokenId)
    if (known !== undefined) return known
    if (this.#size === this.#tokenIds.length) this.#grow()
    const slot = this.#size++
    this.#tokenIds[slot] = tokenId
    this.#slotOf.set(tokenId, slot)
    return slot
  }

  #grow(): void {
    const length = this.#size * 2
    const tokenIds = new Int32Array(length)
    const generated = new Int32Array(length)
    const inPrompt = new Uint8Array(length)
    tokenIds.set(this.#tokenIds)
    generated.set(this.#generated)
    inPrompt.set(this.#inPrompt)
    this.#tokenIds = tokenIds
    this.#generated = generated
    this.#inPrompt = inPrompt
  }
}
