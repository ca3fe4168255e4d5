// What every reference simulator takes.

export interface ReferenceRequest {
  readonly arrivalMs: number
  readonly promptTokens: number
  /** Output tokens, the first one included; 1 or more. Known beforehand: the references plan with it. */
  readonly outputTokens: number
}
