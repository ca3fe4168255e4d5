// What came of asking speculators: sums since the incarnation began, for load reports.

export interface RemoteDraftLoad {
  /** Speculators in the cluster, and those of them whose answers are worth waiting for. */
  readonly numSpeculators: number
  readonly numTrusted: number
  readonly asksTotal: number
  readonly answersTotal: number
  /** Asks that count against their speculator: too late, without an answer, or with one that is none. */
  readonly lateTotal: number
  readonly failedTotal: number
  readonly garbledTotal: number
  /** What was wrong with the last answer that was none; null: there was none such. */
  readonly lastProblem: string | null
  /** Time that steps waited. */
  readonly waitMsTotal: number
  /** From ask to answer, summed over answersTotal. */
  readonly roundTripMsTotal: number
}

export class RemoteCounters {
  asksTotal = 0
  waitMsTotal = 0
  lastProblem: string | null = null
  #answersTotal = 0
  #roundTripMsTotal = 0
  readonly #failures = { late: 0, failed: 0, garbled: 0 }

  answered(elapsedMs: number): void {
    this.#answersTotal += 1
    this.#roundTripMsTotal += elapsedMs
  }

  failed(how: 'late' | 'failed' | 'garbled'): void {
    this.#failures[how] += 1
  }

  load(speculators: Pick<RemoteDraftLoad, 'numSpeculators' | 'numTrusted'>): RemoteDraftLoad {
    const { late, failed, garbled } = this.#failures
    return {
      ...speculators, asksTotal: this.asksTotal, answersTotal: this.#answersTotal, lateTotal: late, failedTotal: failed, garbledTotal: garbled, lastProblem: this.lastProblem,
      waitMsTotal: this.waitMsTotal, roundTripMsTotal: this.#roundTripMsTotal,
    }
  }
}
