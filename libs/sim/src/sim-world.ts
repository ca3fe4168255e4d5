// Virtual time: a clock that jumps from event to event. The whole simulation is one loop over one queue.
//
// 1. Events run in order of (time, scheduling); the clock never moves back.
// 2. Nothing here reads a real clock or an unseeded random number: same seed, same events.
import { TimerQueue } from '@rubato/actor'
import type { Scheduler } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import { randomStream } from './random-stream.ts'
import type { RandomStream } from './random-stream.ts'

export interface SimWorldOptions {
  readonly seed: number
  /** Takes the trace, one line per event without its newline; absent: no trace is made. */
  readonly onTrace?: (line: string) => void
}

/** Guards runUntilIdle against a simulation that never is. */
const MAX_EVENTS = 50_000_000

export class SimWorld implements Scheduler {
  readonly seed: number
  readonly #queue = new TimerQueue()
  readonly #onTrace: ((line: string) => void) | null
  #nowMs = 0
  #numEvents = 0

  constructor({ seed, onTrace }: SimWorldOptions) {
    this.seed = seed
    this.#onTrace = onTrace ?? null
  }

  nowMs(): number {
    return this.#nowMs
  }

  /** Events run so far. */
  get numEvents(): number {
    return this.#numEvents
  }

  get isTraced(): boolean {
    return this.#onTrace !== null
  }

  schedule(delayMs: number, callback: () => void): () => void {
    return this.#queue.push(this.#nowMs + delayMs, callback)
  }

  /** As schedule, at a time of this clock: equal times stay equal, which sums of delays do not. */
  scheduleAt(dueMs: number, callback: () => void): () => void {
    return this.#queue.push(Math.max(dueMs, this.#nowMs), callback)
  }

  /** The random stream of that name; each call starts it anew. */
  random(name: string): RandomStream {
    return randomStream(this.seed, name)
  }

  trace(text: string): void {
    this.#onTrace?.(`${this.#nowMs} ${text}`)
  }

  /** Runs until nothing is scheduled. Throws RubatoError `never_idle` after 50 million events. */
  runUntilIdle(): void {
    this.#run(() => false, Number.POSITIVE_INFINITY, MAX_EVENTS)
  }

  /** Runs what falls due within durationMs and leaves the clock at its end. */
  runFor(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs
    this.#run(() => false, untilMs)
    this.#nowMs = untilMs
  }

  /** Runs until the condition holds, and says whether it did before the queue was empty or limitMs had passed. */
  runUntil(condition: () => boolean, limitMs: number): boolean {
    return this.#run(condition, this.#nowMs + limitMs)
  }

  #run(condition: () => boolean, untilMs: number, maxEvents = Number.POSITIVE_INFINITY): boolean {
    for (let numLeft = maxEvents; !condition(); numLeft--) {
      const next = this.#queue.peek()
      if (next === null || next.dueMs > untilMs) return false
      if (numLeft === 0) throw new RubatoError('never_idle', `the simulation is still busy after ${maxEvents} events, at ${this.#nowMs} ms`)
      this.#queue.pop()
      this.#nowMs = next.dueMs
      this.#numEvents += 1
      next.callback()
    }
    return true
  }
}
