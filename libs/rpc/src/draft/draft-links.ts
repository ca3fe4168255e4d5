// How an instance reaches speculators. One implementation over gRPC; another takes its place behind this interface.
//
// 1. An ask settles once, unless it was given up: with its answer, or with a RubatoError: `draft_refused` (for good: tokens mean
//    something else there), `draft_busy` or `draft_link_failed` (both retryable).
// 2. News opens no link: what a speculator was not told it asks for.
import type { RubatoError } from '@rubato/config'
import type { DraftAnswer, DraftAsk, DraftNews } from '@rubato/model'

export interface DraftLinks {
  /** `speculator` is what membership says of where it listens. Returns what gives the ask up; it then never settles. */
  ask(speculator: string, ask: DraftAsk, settle: (result: DraftAnswer | RubatoError) => void): () => void
  tell(speculator: string, news: DraftNews): void
  /** Ends every session; asks fail. Idempotent. */
  close(): void
}
