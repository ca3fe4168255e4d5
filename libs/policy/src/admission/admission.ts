// Router-side admission: a request is taken, queued, or refused at the door with a hint when to come back. An accepted
// request is never dropped for load.

export interface AdmissionSnapshot {
  /** Requests dispatched and not finished. */
  readonly numInFlight: number
  /** --max-concurrent-requests; null: no limit. */
  readonly maxConcurrentRequests: number | null
  readonly queueLength: number
  /** --queue-size. */
  readonly queueSize: number
  /** Requests finished per second of late; null: none seen yet. */
  readonly serviceRatePerSec: number | null
}

export type AdmissionDecision =
  | { readonly kind: 'admit' }
  | { readonly kind: 'queue' }
  | { readonly kind: 'refuse'; readonly reason: 'queue_full'; readonly retryAfterMs: number }

const DEFAULT_RETRY_MS = 1_000
const MIN_RETRY_MS = 100
const MAX_RETRY_MS = 60_000

/** Time until half of the queue has been served, at least one request: a retry then likely finds room. */
function retryAfterMs({ queueLength, serviceRatePerSec }: AdmissionSnapshot): number {
  if (serviceRatePerSec === null || !(serviceRatePerSec > 0)) return DEFAULT_RETRY_MS
  const waitMs = (1_000 * Math.max(1, queueLength / 2)) / serviceRatePerSec
  return Math.round(Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, waitMs)))
}

/** Decides one arrival. A newcomer never overtakes the queue; retryAfterMs is within 100 ms .. 60 s. */
export function decideAdmission(snapshot: AdmissionSnapshot): AdmissionDecision {
  const { numInFlight, maxConcurrentRequests, queueLength, queueSize } = snapshot
  const hasRoom = maxConcurrentRequests === null || numInFlight < maxConcurrentRequests
  if (hasRoom && queueLength === 0) return { kind: 'admit' }
  if (queueLength < queueSize) return { kind: 'queue' }
  return { kind: 'refuse', reason: 'queue_full', retryAfterMs: retryAfterMs(snapshot) }
}

/** How many queued requests may be dispatched now. */
export function numReleasable({ numInFlight, maxConcurrentRequests, queueLength }: AdmissionSnapshot): number {
  return maxConcurrentRequests === null ? queueLength : Math.max(0, Math.min(queueLength, maxConcurrentRequests - numInFlight))
}

const RATE_WINDOW_MS = 10_000

/** Folds an interval's completions into the service rate (exponential window of 10 s). intervalMs must be positive. */
export function observeServiceRate(ratePerSec: number | null, numCompleted: number, intervalMs: number): number | null {
  const seenPerSec = (1_000 * numCompleted) / intervalMs
  if (ratePerSec === null) return numCompleted === 0 ? null : seenPerSec
  return ratePerSec + (1 - Math.exp(-intervalMs / RATE_WINDOW_MS)) * (seenPerSec - ratePerSec)
}
