import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { Member } from '../membership.ts'
import { LeaseWorld, MEMBER, TICK_MS } from './fixtures/lease-world.ts'
import { LEASE_TIMES } from './lease-rules.ts'
import { LeaseTable, isMemberKey, leaseKey } from './lease-table.ts'

const NONE: ReadonlySet<string> = new Set()
const PRESENT: ReadonlySet<string> = new Set([leaseKey(MEMBER)])
const NEXT_STAY: Member = { ...MEMBER, address: 'instance/d1@n2' }

function tableWithMember(): LeaseTable {
  const table = new LeaseTable(LEASE_TIMES, 0)
  assert.deepEqual(table.put(MEMBER, 0), [{ kind: 'joined', member: MEMBER }])
  return table
}

test('a renewal is no news; a TTL without one, and the broker\'s word, are', () => {
  const table = tableWithMember()
  assert.deepEqual(table.put(MEMBER, 500), [])
  assert.deepEqual(table.polled(2499, NONE), [], 'asked before the deadline')
  assert.deepEqual(table.polled(2500, PRESENT), [], 'the broker has it')
  assert.deepEqual(table.polled(2500, NONE), [{ kind: 'gone', member: MEMBER, reason: 'expired' }])
  assert.deepEqual(table.polled(9000, NONE), [], 'told once')
  assert.deepEqual(table.members(), [])
})

test('nobody expires while disconnected, nor within the grace after a reconnect', () => {
  const table = tableWithMember()
  table.disconnected()
  assert.deepEqual(table.polled(60_000, NONE), [])
  table.connected(60_000)
  assert.deepEqual(table.polled(61_999, NONE), [])
  assert.deepEqual(table.polled(62_000, NONE), [{ kind: 'gone', member: MEMBER, reason: 'expired' }])
})

test('released is told at once, replaced before the one who came', () => {
  const table = tableWithMember()
  assert.deepEqual(table.put(NEXT_STAY, 100), [{ kind: 'gone', member: MEMBER, reason: 'replaced' }, { kind: 'joined', member: NEXT_STAY }])
  assert.deepEqual(table.removed(leaseKey(MEMBER)), [{ kind: 'gone', member: NEXT_STAY, reason: 'released' }])
  assert.deepEqual(table.removed(leaseKey(MEMBER)), [])
})

test('who comes back after it was told gone is evicted, until it joins under a new address', () => {
  const table = tableWithMember()
  table.polled(2000, NONE)
  assert.deepEqual(table.put(MEMBER, 2100), [{ kind: 'evict', key: 'instance.d1' }])
  assert.deepEqual(table.put(NEXT_STAY, 2200), [{ kind: 'joined', member: NEXT_STAY }])
})

const NUM_RUNS = 150

test('a member that renews in time is never told gone, whatever breaks', () => {
  const firstSeed = testSeed(100)
  for (let seed = firstSeed; seed < firstSeed + NUM_RUNS; seed++) {
    const random = seededRandom(seed)
    const world = new LeaseWorld()
    world.latencyMs = () => 1 + random.int(150)
    let brokerBackMs = -1
    while (world.nowMs < 30_000) {
      if (brokerBackMs >= 0) {
        // The member is back up to half a second after the observer.
        if (world.nowMs >= brokerBackMs) world.setLink('observer', true)
        if (world.nowMs >= brokerBackMs + 500) {
          world.setLink('member', true)
          brokerBackMs = -1
        }
      } else if (random.int(300) === 0) {
        world.stopBroker()
        brokerBackMs = world.nowMs + random.int(6000)
      } else if (random.int(60) === 0) {
        world.setLink('observer', !world.links.observer.isUp)
      }
      world.tick()
      assert.equal(world.countGone(), 0, `seed ${seed} at ${world.nowMs} ms`)
      assert.equal(world.keeper.phase, 'held', `seed ${seed} at ${world.nowMs} ms`)
    }
  }
})

test('a member that died is told gone once, within a TTL and the grace', () => {
  const firstSeed = testSeed(500)
  for (let seed = firstSeed; seed < firstSeed + NUM_RUNS; seed++) {
    const random = seededRandom(seed)
    const world = new LeaseWorld()
    world.latencyMs = () => 1 + random.int(50)
    const diedMs = 1000 + random.int(4000)
    const steadyMs = diedMs + random.int(8000)
    let observedFromMs = 0
    while (world.nowMs < 20_000) {
      if (world.nowMs >= diedMs) world.isMemberRunning = false
      const isUp = world.nowMs >= steadyMs || (random.int(80) === 0 ? !world.links.observer.isUp : world.links.observer.isUp)
      if (isUp && !world.links.observer.isUp) observedFromMs = world.nowMs
      world.setLink('observer', isUp)
      world.tick()
    }
    assert.equal(world.countGone(), 1, `seed ${seed}`)
    const { atMs, event } = world.told.at(-1)!
    assert.ok(event.kind === 'gone' && event.reason === 'expired', `seed ${seed}`)
    // The last renewal and the poll's question and answer may be under way.
    const boundMs = Math.max(diedMs + LEASE_TIMES.ttlMs, observedFromMs + LEASE_TIMES.graceMs) + LEASE_TIMES.pollEveryMs + 200
    assert.ok(atMs > diedMs && atMs <= boundMs, `seed ${seed}: died ${diedMs}, observed from ${observedFromMs}, told ${atMs}`)
  }
})

test('a member that was told gone cannot be certain of its lease, and is fenced once it runs and is connected', () => {
  const firstSeed = testSeed(900)
  let numGone = 0
  for (let seed = firstSeed; seed < firstSeed + NUM_RUNS; seed++) {
    const random = seededRandom(seed)
    const world = new LeaseWorld()
    world.latencyMs = () => 1 + random.int(random.int(20) === 0 ? 1500 : 50)
    while (world.nowMs < 20_000) {
      if (random.int(100) === 0) world.isMemberRunning = !world.isMemberRunning
      if (random.int(150) === 0) world.setLink('member', !world.links.member.isUp)
      world.tick()
      if (world.countGone() > 0) assert.ok(!world.keeper.isCertainlyHeld(world.nowMs), `seed ${seed}: told gone at ${world.told.at(-1)!.atMs}, certain at ${world.nowMs}`)
    }
    numGone += world.countGone()
    if (world.countGone() > 0) {
      world.isMemberRunning = true
      world.setLink('member', true)
      world.latencyMs = () => 1
      for (let i = 0; i < 2000 / TICK_MS; i++) world.tick()
      assert.equal(world.keeper.phase, 'fenced', `seed ${seed}`)
    }
  }
  assert.ok(numGone > NUM_RUNS / 4, `only ${numGone} were told gone`)
})

test('leases of members are told from those of leaders', () => {
  for (const kind of ['router', 'instance', 'speculator'] as const) assert.ok(isMemberKey(leaseKey({ kind, name: 'a.b' })), kind)
  for (const key of ['leader.migrator', 'instances', '']) assert.equal(isMemberKey(key), false, key)
})
