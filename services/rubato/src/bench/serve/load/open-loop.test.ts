import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runOpenLoop } from './open-loop.ts'
import type { Clock } from './clock.ts'

/** Time moves only in run(), from one thing that is due to the next. */
class VirtualClock implements Clock {
  #now = 1000
  readonly #due: { atMs: number; run: () => void }[] = []

  nowMs(): number {
    return this.#now
  }

  at(atMs: number, run: () => void): void {
    this.#due.push({ atMs, run })
  }

  sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.at(atMs, resolve)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** Until nothing is due any more. */
  async run(): Promise<void> {
    for (;;) {
      await new Promise(setImmediate)
      const next = this.#due.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) return
      this.#due.splice(this.#due.indexOf(next), 1)
      this.#now = Math.max(this.#now, next.atMs)
      next.run()
    }
  }
}

interface Sent {
  readonly request: number
  readonly atMs: number
  readonly scheduledMs: number
}

/** Serves each request for serviceMs; what was sent when, from the start on. */
async function run(arrivalsMs: readonly number[], serviceMs: number, options: { maxConcurrency?: number; abortAt?: number } = {}): Promise<{ sent: Sent[]; durationMs: number; peak: number; lagMs: number }> {
  const clock = new VirtualClock()
  const stop = new AbortController()
  const sent: Sent[] = []
  let [inFlight, peak] = [0, 0]
  const send = (request: number, scheduledMs: number): Promise<void> => {
    sent.push({ request, atMs: clock.nowMs() - 1000, scheduledMs })
    peak = Math.max(peak, ++inFlight)
    return new Promise((resolve) => clock.at(clock.nowMs() + serviceMs, () => {
      inFlight--
      resolve()
    }))
  }
  if (options.abortAt !== undefined) clock.at(1000 + options.abortAt, () => stop.abort())
  const ended = runOpenLoop({ requests: arrivalsMs.map((_, index) => index), arrivalsMs, maxConcurrency: options.maxConcurrency ?? null, clock, signal: stop.signal, send })
  await clock.run()
  const { startMs, endMs, maxLagMs } = await ended
  return { sent, durationMs: endMs - startMs, peak, lagMs: maxLagMs }
}

test('requests are sent at their times although earlier ones are unanswered', async () => {
  const { sent, peak, lagMs, durationMs } = await run([0, 100, 150, 900], 5000)
  assert.deepEqual(sent.map(({ atMs }) => atMs), [0, 100, 150, 900])
  assert.deepEqual(sent.map(({ scheduledMs }) => scheduledMs), [0, 100, 150, 900])
  assert.equal(peak, 4)
  assert.equal(durationMs, 5900)
  assert.equal(lagMs, 0)
})

test('a concurrency cap holds later requests back in order, without moving their schedule', async () => {
  const { sent, peak } = await run([0, 10, 20, 30, 40], 100, { maxConcurrency: 2 })
  assert.deepEqual(sent.map(({ request }) => request), [0, 1, 2, 3, 4])
  assert.deepEqual(sent.map(({ atMs }) => atMs), [0, 10, 100, 110, 200])
  assert.deepEqual(sent.map(({ scheduledMs }) => scheduledMs), [0, 10, 20, 30, 40])
  assert.equal(peak, 2)
})

test('after an abort nothing more is sent, also not what waited for a turn', async () => {
  const { sent } = await run([0, 10, 20, 500], 100, { maxConcurrency: 1, abortAt: 50 })
  assert.deepEqual(sent.map(({ request }) => request), [0])
})

test('all at once sends everything at the start', async () => {
  const { sent } = await run(Array.from({ length: 100 }, () => 0), 10)
  assert.equal(sent.length, 100)
  assert.ok(sent.every(({ atMs }) => atMs === 0))
})
