// Whether one speculator is worth asking: it has to prove itself, and after failures in a row it is left alone for longer and longer.
//
//   closed ──MAX_FAILURES in a row──> open ──pause over──> probed ──in time──> closed
//                                      ^──────── fails: twice the pause ────────┘
//   A new one begins as probed: nobody waits for a speculator that never answered.
//
// 1. Probes are asks like any other, but nothing waits for them.

const MAX_FAILURES = 3
const FIRST_PAUSE_MS = 250
const MAX_PAUSE_MS = 15_000

export class CircuitBreaker {
  #numFailures = 0
  #pauseMs = FIRST_PAUSE_MS
  /** null: closed. */
  #probeAtMs: number | null = 0

  /** Its answers are worth waiting for. */
  get isClosed(): boolean {
    return this.#probeAtMs === null
  }

  mayAsk(nowMs: number): boolean {
    return this.#probeAtMs === null || nowMs >= this.#probeAtMs
  }

  /** An answer came in time and was right. */
  succeeded(): void {
    this.#numFailures = 0
    this.#pauseMs = FIRST_PAUSE_MS
    this.#probeAtMs = null
  }

  /** An answer was late or wrong, or none came. */
  failed(nowMs: number): void {
    this.#numFailures += 1
    if (this.#probeAtMs === null && this.#numFailures < MAX_FAILURES) return
    if (this.#probeAtMs !== null && this.#probeAtMs > 0) this.#pauseMs = Math.min(MAX_PAUSE_MS, 2 * this.#pauseMs)
    this.#probeAtMs = nowMs + this.#pauseMs
  }
}
