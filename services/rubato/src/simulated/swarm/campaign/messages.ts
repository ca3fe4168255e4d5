// What the main thread and the workers of a campaign tell each other. Plain values.
import type { Visits } from '../coverage/transitions.ts'

export interface SeedMessage {
  readonly seed: number
}

export interface SeedReport {
  readonly seed: number
  readonly numRequests: number
  /** Faults that hit work that was under way. */
  readonly numHits: number
  readonly numEvents: number
  readonly visits: Visits
  /** null: every invariant held. */
  readonly failure: SeedFailure | null
}

export interface SeedFailure {
  readonly invariant: string
  readonly message: string
  /** The whole story. */
  readonly text: string
}
