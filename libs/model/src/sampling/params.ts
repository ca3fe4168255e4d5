// What a request asks of the sampler, fully resolved: no optional fields, no defaults left to apply.

export interface SamplingParams {
  /** New tokens per choice, >= 1. */
  readonly maxTokens: number
  /** End-of-sequence and stop ids are masked until this many tokens were emitted; 0..maxTokens. */
  readonly minTokens: number
  /** 0 is greedy; otherwise > 0. */
  readonly temperature: number
  /** (0, 1]; 1 is off. */
  readonly topP: number
  /** 0 is off. */
  readonly topK: number
  /** [0, 1]; 0 is off. Relative to the most likely token. */
  readonly minP: number
  /** [-2, 2]; counts generated tokens only. */
  readonly presencePenalty: number
  /** [-2, 2]; counts generated tokens only. */
  readonly frequencyPenalty: number
  /** > 0; 1 is off; looks at prompt and generated tokens. */
  readonly repetitionPenalty: number
  readonly logitBias: readonly (readonly [tokenId: number, bias: number])[]
  /** Safe integer >= 0. The router draws one when the client gives none. */
  readonly seed: number
  readonly stopTokenIds: readonly number[]
  /** True: the model's own end-of-sequence ids do not stop the sequence. */
  readonly ignoreEos: boolean
  /** Number of most likely alternatives to report beside the chosen token (0..20); null: no logprobs. */
  readonly logprobs: number | null
}

/** Natural-log probabilities of one emitted token, from the target's unmodified distribution (as vLLM's default). */
export interface TokenLogprobs {
  readonly tokenId: number
  readonly logprob: number
  /** Rank of the chosen token, 1 = most likely. */
  readonly rank: number
  readonly top: readonly { readonly tokenId: number; readonly logprob: number }[]
}
