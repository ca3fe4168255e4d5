// One request of a benchmark as planned before anything is sent.

export type PromptInput =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tokens'; readonly tokenIds: readonly number[] }

/** Targets of one request; null: no target on that measure. */
export interface SloTargets {
  readonly ttftMs: number | null
  readonly tpotMs: number | null
  readonly e2elMs: number | null
}

export interface PlannedRequest {
  /** Position in the plan, 0 first. */
  readonly index: number
  /** Request class of a mixed data set; null elsewhere. */
  readonly className: string | null
  readonly input: PromptInput
  /** Prompt length wanted; exact for token prompts, an estimate for text. */
  readonly promptTokens: number
  readonly maxTokens: number
  /** When the data set itself says that it arrived, from its first request on; null: the arrival process decides. */
  readonly arrivalMs: number | null
  readonly slo: SloTargets | null
}

export const NO_TARGETS: SloTargets = { ttftMs: null, tpotMs: null, e2elMs: null }
