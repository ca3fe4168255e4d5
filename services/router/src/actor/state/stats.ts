// What the router counts, per served model: plain numbers at step granularity, read by /metrics.
import { Histogram, REQUEST_SECONDS, STEP_TOKENS, TOKEN_GAP_SECONDS, TOKENS, TTFT_SECONDS } from './histogram.ts'
import type { HistogramSnapshot } from './histogram.ts'

/** How a request ended: stop and length worked; the rest name what came between. */
export type RequestOutcome = 'stop' | 'length' | 'cancelled' | 'deadline' | 'refused' | 'invalid' | 'failed'

export const OUTCOMES: readonly RequestOutcome[] = ['stop', 'length', 'cancelled', 'deadline', 'refused', 'invalid', 'failed']

/** Sums over the model's instances, from their load reports. */
export interface FleetSnapshot {
  readonly numServing: number
  readonly numDraining: number
  readonly numRunning: number
  readonly numWaiting: number
  /** Occupied by live requests, 0..1; cached blocks count as free. */
  readonly kvUsageRatio: number
  readonly preemptionsTotal: number
  readonly prefixQueryTokensTotal: number
  readonly prefixHitTokensTotal: number
  /** Draft trees verified, their nodes, and those that were emitted. */
  readonly draftsTotal: number
  readonly draftTokensTotal: number
  readonly acceptedTokensTotal: number
}

export interface StatsSnapshot {
  readonly requestsByOutcome: Readonly<Record<RequestOutcome, number>>
  readonly promptTokensTotal: number
  readonly generationTokensTotal: number
  readonly acceptedDraftTokensTotal: number
  readonly recoveriesTotal: number
  readonly migrationsTotal: number
  readonly duplicateTokensTotal: number
  readonly resendsTotal: number
  readonly ttftSeconds: HistogramSnapshot
  readonly tpotSeconds: HistogramSnapshot
  readonly itlSeconds: HistogramSnapshot
  readonly e2eSeconds: HistogramSnapshot
  readonly queueSeconds: HistogramSnapshot
  readonly prefillSeconds: HistogramSnapshot
  readonly decodeSeconds: HistogramSnapshot
  readonly promptTokens: HistogramSnapshot
  readonly generationTokens: HistogramSnapshot
  readonly stepTokens: HistogramSnapshot
}

export interface ModelSnapshot {
  readonly model: string
  /** Checked or being checked, and waiting at the door. */
  readonly numQueued: number
  /** Admitted: on an instance, or waiting for one. */
  readonly numRunning: number
  readonly stats: StatsSnapshot
  readonly fleet: FleetSnapshot
}

export interface RouterSnapshot {
  readonly draining: boolean
  /** Every request that still owns memory here. */
  readonly numLive: number
  readonly models: readonly ModelSnapshot[]
}

export class ModelStats {
  readonly requestsByOutcome: Record<RequestOutcome, number> = { stop: 0, length: 0, cancelled: 0, deadline: 0, refused: 0, invalid: 0, failed: 0 }
  promptTokensTotal = 0
  generationTokensTotal = 0
  acceptedDraftTokensTotal = 0
  recoveriesTotal = 0
  migrationsTotal = 0
  duplicateTokensTotal = 0
  resendsTotal = 0
  readonly ttftSeconds = new Histogram(TTFT_SECONDS)
  readonly tpotSeconds = new Histogram(TOKEN_GAP_SECONDS)
  readonly itlSeconds = new Histogram(TOKEN_GAP_SECONDS)
  readonly e2eSeconds = new Histogram(REQUEST_SECONDS)
  readonly queueSeconds = new Histogram(REQUEST_SECONDS)
  readonly prefillSeconds = new Histogram(REQUEST_SECONDS)
  readonly decodeSeconds = new Histogram(REQUEST_SECONDS)
  readonly promptTokens = new Histogram(TOKENS)
  readonly generationTokens = new Histogram(TOKENS)
  readonly stepTokens = new Histogram(STEP_TOKENS)

  snapshot(): StatsSnapshot {
    return {
      requestsByOutcome: { ...this.requestsByOutcome },
      promptTokensTotal: this.promptTokensTotal,
      generationTokensTotal: this.generationTokensTotal,
      acceptedDraftTokensTotal: this.acceptedDraftTokensTotal,
      recoveriesTotal: this.recoveriesTotal,
      migrationsTotal: this.migrationsTotal,
      duplicateTokensTotal: this.duplicateTokensTotal,
      resendsTotal: this.resendsTotal,
      ttftSeconds: this.ttftSeconds.snapshot(),
      tpotSeconds: this.tpotSeconds.snapshot(),
      itlSeconds: this.itlSeconds.snapshot(),
      e2eSeconds: this.e2eSeconds.snapshot(),
      queueSeconds: this.queueSeconds.snapshot(),
      prefillSeconds: this.prefillSeconds.snapshot(),
      decodeSeconds: this.decodeSeconds.snapshot(),
      promptTokens: this.promptTokens.snapshot(),
      generationTokens: this.generationTokens.snapshot(),
      stepTokens: this.stepTokens.snapshot(),
    }
  }
}
