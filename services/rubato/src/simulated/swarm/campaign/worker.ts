// A thread that runs one seed after another, and explains those that fail.
import { parentPort } from 'node:worker_threads'
import { runSeed } from '../run/run-seed.ts'
import { explain } from '../shrink/explain.ts'
import type { SeedMessage, SeedReport } from './messages.ts'

/** Real time for making a failing run smaller. */
const SHRINK_MS = 30_000

parentPort?.on('message', ({ seed }: SeedMessage) => {
  const run = runSeed(seed)
  const { violation, strikes, visits, numRequests, numEvents } = run.result
  const untilMs = performance.now() + SHRINK_MS
  const failure = violation === null ? null : { invariant: violation.invariant, message: violation.message, text: explain(run, violation, { hasTime: () => performance.now() < untilMs }) }
  parentPort?.postMessage({ seed, numRequests, numHits: strikes.length, numEvents, visits, failure } satisfies SeedReport)
})
