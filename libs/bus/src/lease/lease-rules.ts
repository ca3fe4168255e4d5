// The times of a lease (one TTL class). All are durations on a monotonic clock; nobody compares wall clocks.
//
//   holder    sent --0.5-- sent --0.5-- ...            1.5 s without an acknowledgement, connected: fenced
//   observer  seen ------------------------- 2 s ----> looks; the broker says absent: gone
//
// The holder counts from when it sent a renewal, the observer from when it saw one, so the holder always stops first.

export interface LeaseTimes {
  /** Age at which the broker forgets a lease. */
  readonly ttlMs: number
  readonly renewEveryMs: number
  /** Pause after a renewal without a clear answer. */
  readonly retryEveryMs: number
  /** A holder that is connected stops this long after the last renewal that was acknowledged. */
  readonly fenceAfterMs: number
  /** Nobody is told gone this soon after a reconnect, or after the broker lost all leases. */
  readonly graceMs: number
  readonly pollEveryMs: number
}

export const LEASE_TIMES: LeaseTimes = {
  ttlMs: 2000,
  renewEveryMs: 500,
  retryEveryMs: 150,
  fenceAfterMs: 1500,
  graceMs: 2000,
  pollEveryMs: 500,
}
