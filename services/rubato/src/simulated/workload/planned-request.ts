// One request of a simulated workload, as planned before the run.

/** Targets of one request; null: none. */
export interface Targets {
  readonly ttftMs: number | null
  readonly tpotMs: number | null
}

export interface PlannedRequest {
  /** Position in the plan, 0 first. */
  readonly index: number
  /** From the start of the run on. */
  readonly arrivalMs: number
  readonly promptTokens: number
  readonly outputTokens: number
  /** One id per 512 prompt tokens; equal ids are equal prefix blocks. Empty: the prompt is like no other. */
  readonly blockIds: readonly number[]
  /** null: the workload has no classes. */
  readonly className: string | null
  /** Lower is earlier. */
  readonly priority: number
  readonly targets: Targets
}
