// What a client saw of one answer: when tokens came and how many, with the count as exact as the server allows.
//
// How a chunk's tokens are counted is settled by the first chunk that carries any: by its token ids; else by the running usage on
// the chunk (vLLM's continuous_usage_stats); else as one token per chunk, corrected in total by the usage at the end.

export interface ChunkContent {
  readonly text: string
  readonly tokenIds: readonly number[] | null
  /** Tokens of the whole answer so far, where the chunk says so. */
  readonly completionTokens: number | null
  readonly finished: boolean
}

export class TokenTimeline {
  readonly chunkTimesMs: number[] = []
  /** Tokens of each chunk; all 1 where the server does not say. */
  readonly chunkTokens: number[] = []
  readonly tokenIds: number[] = []
  text = ''
  hasFinished = false
  #counting: 'ids' | 'running' | 'chunks' | null = null
  #counted = 0

  /** True where chunkTokens are the server's own counts, not one per chunk. */
  get hasExactChunks(): boolean {
    return this.#counting === 'ids' || this.#counting === 'running'
  }

  add(chunk: ChunkContent, nowMs: number): void {
    this.text += chunk.text
    if (chunk.tokenIds !== null) this.tokenIds.push(...chunk.tokenIds)
    const numTokens = this.#count(chunk)
    if (numTokens > 0) this.#mark(nowMs, numTokens)
    if (!chunk.finished) return
    this.hasFinished = true
    // An answer without a visible token (end of sequence at once) still has a time at which it was known.
    if (this.chunkTimesMs.length === 0) this.#mark(nowMs, 0)
  }

  #count(chunk: ChunkContent): number {
    const hasIds = chunk.tokenIds !== null && chunk.tokenIds.length > 0
    if (this.#counting === null) {
      if (!hasIds && chunk.text === '') return 0
      this.#counting = hasIds ? 'ids' : chunk.completionTokens === null ? 'chunks' : 'running'
    }
    switch (this.#counting) {
      case 'ids':
        return chunk.tokenIds?.length ?? 0
      case 'running':
        return Math.max(0, (chunk.completionTokens ?? this.#counted) - this.#counted)
      case 'chunks':
        return chunk.text === '' ? 0 : 1
    }
  }

  #mark(nowMs: number, numTokens: number): void {
    this.chunkTimesMs.push(nowMs)
    this.chunkTokens.push(numTokens)
    this.#counted += numTokens
  }

  /** Output tokens: the ids where there were any, else the usage, else what was counted. */
  numTokens(usageTokens: number | null): number {
    if (this.#counting === 'ids') return this.#counted
    return usageTokens ?? this.#counted
  }
}
