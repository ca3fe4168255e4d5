import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeaseKeeper } from './lease-keeper.ts'
import { LEASE_TIMES } from './lease-rules.ts'

const START_MS = 1000

function keeper(): LeaseKeeper {
  return new LeaseKeeper(LEASE_TIMES, START_MS)
}

test('renews every half second, counted from when the last was sent', () => {
  const lease = keeper()
  assert.equal(lease.isRenewalDue(START_MS + 499), false)
  assert.equal(lease.nextWakeInMs(START_MS + 100), 400)
  assert.equal(lease.isRenewalDue(START_MS + 500), true)
  lease.renewalSent(START_MS + 500)
  assert.equal(lease.isRenewalDue(START_MS + 999), false)
  lease.renewalUnanswered(START_MS + 800)
  assert.equal(lease.isRenewalDue(START_MS + 950), true)
})

test('fences 1.5 s after the last renewal that was acknowledged was sent', () => {
  const lease = keeper()
  lease.renewed(START_MS + 500)
  assert.equal(lease.check(START_MS + 1999), 'held')
  assert.equal(lease.check(START_MS + 2000), 'fenced')
  lease.renewed(START_MS + 1900)
  assert.equal(lease.check(START_MS + 2000), 'fenced', 'final')
})

test('is not fenced while the bus is down, and has 1.5 s after it is back', () => {
  const lease = keeper()
  lease.disconnected(START_MS + 1400)
  assert.equal(lease.nextWakeInMs(START_MS + 5000), null)
  assert.equal(lease.check(START_MS + 60_000), 'held')
  lease.connected(START_MS + 60_000)
  assert.equal(lease.isRenewalDue(START_MS + 60_000), true)
  assert.equal(lease.check(START_MS + 61_499), 'held')
  assert.equal(lease.check(START_MS + 61_500), 'fenced')
})

test('a holder that was stopped is fenced by its own clock, whatever it notices first', () => {
  const woken = keeper()
  assert.equal(woken.isRenewalDue(START_MS + 3000), false)
  assert.equal(woken.phase, 'fenced')
  const cutOff = keeper()
  cutOff.disconnected(START_MS + 3000)
  assert.equal(cutOff.phase, 'fenced')
})

test('a leader counts on nothing but its own clock', () => {
  const lease = keeper()
  lease.disconnected(START_MS + 100)
  assert.equal(lease.isCertainlyHeld(START_MS + 1499), true)
  assert.equal(lease.isCertainlyHeld(START_MS + 1500), false)
  lease.connected(START_MS + 9000)
  assert.equal(lease.isCertainlyHeld(START_MS + 9000), false)
  lease.renewed(START_MS + 9000)
  assert.equal(lease.isCertainlyHeld(START_MS + 9001), true)
})

test('the first end counts: refused, released, or fenced', () => {
  const refused = keeper()
  refused.refused()
  refused.release()
  assert.equal(refused.check(START_MS), 'fenced')
  const released = keeper()
  released.release()
  released.refused()
  assert.equal(released.check(START_MS + 9000), 'released')
  assert.equal(released.isCertainlyHeld(START_MS), false)
})
