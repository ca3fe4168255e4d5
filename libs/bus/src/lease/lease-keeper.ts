// The holder's side of a lease, without I/O: when to renew, and when to stop trusting it.
//
// 1. Fenced is final, and so is released.
// 2. While disconnected the lease is neither renewed nor given up: the holder can do no harm over a bus that is down. After
//    a reconnect it has `fenceAfterMs` to renew.
// 3. A holder that was stopped for longer than `fenceAfterMs` is fenced by its own clock, before the broker says so.
import type { LeaseTimes } from './lease-rules.ts'

export type LeasePhase = 'held' | 'fenced' | 'released'

export class LeaseKeeper {
  readonly #times: LeaseTimes
  #phase: LeasePhase = 'held'
  /** When the last acknowledged renewal was sent. */
  #ackedMs: number
  /** null: disconnected. */
  #connectedMs: number | null
  #nextRenewalMs: number

  /** A lease just acquired, connected, by a request sent at `sentMs`. */
  constructor(times: LeaseTimes, sentMs: number) {
    this.#times = times
    this.#ackedMs = sentMs
    this.#connectedMs = sentMs
    this.#nextRenewalMs = sentMs + times.renewEveryMs
  }

  get phase(): LeasePhase {
    return this.#phase
  }

  connected(nowMs: number): void {
    this.#connectedMs = nowMs
    this.#nextRenewalMs = nowMs
  }

  /** A holder that notices late, after it was stopped, is fenced first. */
  disconnected(nowMs: number): void {
    this.check(nowMs)
    this.#connectedMs = null
  }

  /** True when a renewal is to be sent now. */
  isRenewalDue(nowMs: number): boolean {
    return this.check(nowMs) === 'held' && this.#connectedMs !== null && nowMs >= this.#nextRenewalMs
  }

  renewalSent(nowMs: number): void {
    this.#nextRenewalMs = nowMs + this.#times.renewEveryMs
  }

  /** The renewal sent at `sentMs` was acknowledged. */
  renewed(sentMs: number): void {
    this.#ackedMs = Math.max(this.#ackedMs, sentMs)
  }

  /** No clear answer came: it may have been applied or not. */
  renewalUnanswered(nowMs: number): void {
    this.#nextRenewalMs = nowMs + this.#times.retryEveryMs
  }

  /** The lease is somebody else's, or expired. */
  refused(): void {
    if (this.#phase === 'held') this.#phase = 'fenced'
  }

  release(): void {
    if (this.#phase === 'held') this.#phase = 'released'
  }

  /** Fences when the time has come, then tells the phase. */
  check(nowMs: number): LeasePhase {
    if (this.#phase === 'held' && nowMs >= this.#fenceMs()) this.#phase = 'fenced'
    return this.#phase
  }

  /** By this clock alone, connected or not, nobody else can have the lease yet: what a leader must ask before it acts. */
  isCertainlyHeld(nowMs: number): boolean {
    return this.#phase === 'held' && nowMs - this.#ackedMs < this.#times.fenceAfterMs
  }

  /** How long until there is something to do; null: not before the connection is back. */
  nextWakeInMs(nowMs: number): number | null {
    if (this.#connectedMs === null || this.#phase !== 'held') return null
    return Math.max(0, Math.min(this.#nextRenewalMs, this.#fenceMs()) - nowMs)
  }

  #fenceMs(): number {
    if (this.#connectedMs === null) return Infinity
    return Math.max(this.#ackedMs, this.#connectedMs) + this.#times.fenceAfterMs
  }
}
