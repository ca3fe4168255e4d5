import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { decideAdmission, numReleasable, observeServiceRate } from './admission.ts'
import type { AdmissionSnapshot } from './admission.ts'

const IDLE: AdmissionSnapshot = { numInFlight: 0, maxConcurrentRequests: 4, queueLength: 0, queueSize: 2, serviceRatePerSec: null }

test('requests are admitted below the limit, queued at it, refused when the queue is full', () => {
  assert.deepEqual(decideAdmission(IDLE), { kind: 'admit' })
  assert.deepEqual(decideAdmission({ ...IDLE, numInFlight: 4 }), { kind: 'queue' })
  assert.deepEqual(decideAdmission({ ...IDLE, numInFlight: 4, queueLength: 2 }), { kind: 'refuse', reason: 'queue_full', retryAfterMs: 1000 })
  assert.deepEqual(decideAdmission({ ...IDLE, numInFlight: 9999, maxConcurrentRequests: null }), { kind: 'admit' })
})

test('a newcomer never overtakes the queue', () => {
  assert.deepEqual(decideAdmission({ ...IDLE, numInFlight: 3, queueLength: 1 }), { kind: 'queue' })
  assert.equal(numReleasable({ ...IDLE, numInFlight: 3, queueLength: 2 }), 1)
})

test('the retry hint is the time in which half of the queue is served, within 100 ms and 60 s', () => {
  const full = (queueLength: number, serviceRatePerSec: number | null) => decideAdmission({ ...IDLE, numInFlight: 4, queueSize: queueLength, queueLength, serviceRatePerSec })
  assert.deepEqual(full(40, 5), { kind: 'refuse', reason: 'queue_full', retryAfterMs: 4000 })
  assert.deepEqual(full(0, 2), { kind: 'refuse', reason: 'queue_full', retryAfterMs: 500 })
  assert.deepEqual(full(10, 1e9), { kind: 'refuse', reason: 'queue_full', retryAfterMs: 100 })
  assert.deepEqual(full(10, 1e-9), { kind: 'refuse', reason: 'queue_full', retryAfterMs: 60_000 })
  assert.deepEqual(full(10, 0), { kind: 'refuse', reason: 'queue_full', retryAfterMs: 1000 })
})

test('the service rate follows what is completed', () => {
  assert.equal(observeServiceRate(null, 0, 1000), null)
  let ratePerSec = observeServiceRate(null, 3, 1000)
  assert.equal(ratePerSec, 3)
  for (let i = 0; i < 100; i++) ratePerSec = observeServiceRate(ratePerSec, 8, 1000)
  assert.ok(ratePerSec !== null && Math.abs(ratePerSec - 8) < 0.01)
})

test('limits hold over any sequence of arrivals and completions, and nothing accepted is lost', () => {
  const seed = testSeed(5)
  const random = seededRandom(seed)
  let accepted = 0
  let finished = 0
  let state = IDLE
  for (let step = 0; step < 5000; step++) {
    if (random.next() < 0.5 && state.numInFlight > 0) {
      finished += 1
      state = { ...state, numInFlight: state.numInFlight - 1 }
    } else {
      const decision = decideAdmission(state)
      if (decision.kind === 'admit') state = { ...state, numInFlight: state.numInFlight + 1 }
      if (decision.kind === 'queue') state = { ...state, queueLength: state.queueLength + 1 }
      if (decision.kind !== 'refuse') accepted += 1
    }
    const released = numReleasable(state)
    state = { ...state, numInFlight: state.numInFlight + released, queueLength: state.queueLength - released }
    assert.ok(state.numInFlight <= 4 && state.queueLength <= 2, `seed ${seed}, step ${step}`)
    assert.equal(accepted, finished + state.numInFlight + state.queueLength, `seed ${seed}, step ${step}`)
  }
})
