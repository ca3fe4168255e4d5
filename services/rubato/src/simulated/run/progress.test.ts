import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job, JobProgress } from './jobs.ts'
import { Progress } from './progress.ts'

const job = (variant: number, seed: number): Job => ({ variant, seed, ratePerSec: 4, keepsDetails: false })
const at = (simulatedMs: number, numEnded: number, trial = 1): JobProgress => ({ simulatedMs, numEnded, numRequests: 100, trial, ratePerSec: 4 })

test('the share done counts running trials, and what is left follows from it', () => {
  const progress = new Progress([job(0, 1), job(1, 1)], ['a', 'b'], false)
  assert.equal(progress.line(0), '0 %: 0/2 trials, 0 s simulated, 0.0x real time')
  progress.update(0, at(50_000, 50))
  assert.equal(progress.line(10_000), '25 %: 0/2 trials, 50 s simulated, 5.0x real time, 30 s left (a at 4/s seed 1: 50/100)')
  progress.update(0, at(90_000, 100))
  progress.done(0)
  assert.equal(progress.line(20_000), '50 %: 1/2 trials, 90 s simulated, 4.5x real time, 20 s left')
  progress.update(1, at(10_000, 100))
  progress.done(1)
  assert.equal(progress.line(100_000), '100 %: 2/2 trials, 2 min simulated, 1.0x real time')
})

test('the trials of a search add up in simulated time', () => {
  const progress = new Progress([job(0, 1)], ['a'], true)
  progress.update(0, at(60_000, 100, 1))
  progress.update(0, at(30_000, 50, 2))
  assert.equal(progress.line(9_000), '15 %: 0/1 searches, 90 s simulated, 10.0x real time, 51 s left (a at 4/s seed 1: 50/100)')
})
