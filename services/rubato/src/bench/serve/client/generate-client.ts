// One way to ask a server for text. HTTP and gRPC are behind this, so that a run measures both alike.
import type { PlannedRequest, SloTargets } from '../dataset/planned-request.ts'
import type { BenchServeOptions } from '../options.ts'

export type AnswerEnd =
  | { readonly kind: 'completed' }
  | { readonly kind: 'failed'; readonly message: string }
  /** The run was stopped while it was under way. */
  | { readonly kind: 'interrupted' }

/** One answer as measured at the client; times by the run's clock. */
export interface Answer {
  readonly end: AnswerEnd
  readonly startMs: number
  readonly endMs: number
  /** When each chunk with tokens came, ascending, and how many tokens it had. */
  readonly chunkTimesMs: readonly number[]
  readonly chunkTokens: readonly number[]
  /** True where chunkTokens are the server's own counts. */
  readonly hasExactChunks: boolean
  /** As the server counted; as planned where it does not say. */
  readonly promptTokens: number
  readonly outputTokens: number
  /** Empty where the server does not send them. */
  readonly tokenIds: readonly number[]
  readonly text: string
}

export interface GenerateClient {
  /** Ids of the models served. Throws RubatoError `unavailable` when the server cannot be asked. */
  models(signal: AbortSignal): Promise<readonly string[]>
  /** Never rejects: a failure is an answer. */
  generate(model: string, request: PlannedRequest, signal: AbortSignal): Promise<Answer>
  close(): void
}

/** The targets that the server is told; null: none. */
export function sentTargets(options: BenchServeOptions, request: PlannedRequest): SloTargets | null {
  switch (options.sampling.sendSlo) {
    case 'never':
      return null
    case 'dataset':
      return request.slo
    case 'always':
      return request.slo ?? options.goodput
  }
}
