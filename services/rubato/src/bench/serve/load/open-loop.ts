// Sends requests at their times whether or not earlier ones have finished.
//
// 1. A request is sent at its arrival time, never before.
// 2. With a concurrency cap, a request above it waits its turn here, first come first served; its clock starts when it is sent.
// 3. After an abort nothing more is sent, what waited for a turn is dropped, and the loop resolves once the sent ones have ended.
import type { Clock } from './clock.ts'

export interface OpenLoopPlan<Request> {
  readonly requests: readonly Request[]
  /** Ascending; one per request. */
  readonly arrivalsMs: readonly number[]
  readonly maxConcurrency: number | null
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Must not reject. */
  readonly send: (request: Request, scheduledMs: number) => Promise<void>
}

export interface OpenLoopEnd {
  readonly startMs: number
  readonly endMs: number
  /** How far behind its schedule the loop itself ever was; large values mean that this machine limits the load. */
  readonly maxLagMs: number
}

/** At most `limit` holders at a time, in order of asking. */
class Turnstile {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(limit: number) {
    this.#free = limit
  }

  enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

/** Requests sent back to back before the loop lets answers in. */
const SENDS_PER_TURN = 16

export async function runOpenLoop<Request>(plan: OpenLoopPlan<Request>): Promise<OpenLoopEnd> {
  const { requests, arrivalsMs, clock, signal, send } = plan
  const turnstile = new Turnstile(plan.maxConcurrency ?? Infinity)
  const startMs = clock.nowMs()
  let maxLagMs = 0
  const sendInTurn = async (request: Request, scheduledMs: number): Promise<void> => {
    await turnstile.enter()
    if (!signal.aborted) await send(request, scheduledMs)
    turnstile.leave()
  }
  const sent: Promise<void>[] = []
  for (const [index, request] of requests.entries()) {
    const scheduledMs = arrivalsMs[index] ?? 0
    const atMs = startMs + scheduledMs
    if (atMs > clock.nowMs() || index % SENDS_PER_TURN === SENDS_PER_TURN - 1) await clock.sleepUntil(atMs, signal)
    if (signal.aborted) break
    maxLagMs = Math.max(maxLagMs, clock.nowMs() - atMs)
    sent.push(sendInTurn(request, scheduledMs))
  }
  await Promise.all(sent)
  return { startMs, endMs: clock.nowMs(), maxLagMs }
}
