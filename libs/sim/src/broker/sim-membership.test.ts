// The behaviours that membership over NATS has (libs/bus/src/nats/lease), on simulated leases.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemberEvent } from '@rubato/bus'
import { LEASE_TIMES } from '@rubato/bus/lease'
import { SimBus } from '../network/sim-bus.ts'
import { SimProcess } from '../process/sim-process.ts'
import { SimWorld } from '../sim-world.ts'
import { BrokerLink } from './broker-link.ts'
import { SimBroker } from './sim-broker.ts'
import { SimElection } from './sim-election.ts'
import { SimKeptName } from './sim-kept-name.ts'
import { SimMembership } from './sim-membership.ts'

interface Stay {
  readonly address: string
  readonly fromMs: number
  toMs: number | null
}

function clusterOf(seed = 1) {
  const world = new SimWorld({ seed })
  const bus = new SimBus({ world })
  const broker = new SimBroker({ world, ttlMs: LEASE_TIMES.ttlMs })
  let nonce = 0
  const processOf = (name: string) => {
    const process = new SimProcess(world, name)
    const place = bus.place(name)
    const link = new BrokerLink({ world, broker, process, place })
    const leases = { process, link, broker, times: LEASE_TIMES }
    return { process, place, link, leases, membership: new SimMembership(leases) }
  }
  const memberOf = (name: string) => {
    const parts = processOf(name)
    const stays: Stay[] = []
    const fatal: string[] = []
    const kept = new SimKeptName({
      process: parts.process, membership: parts.membership, nextNonce: () => ++nonce,
      member: { kind: 'instance', name, protocol: '1.0', modelFingerprint: 'f' },
      onHeld: ({ address }) => stays.push({ address, fromMs: world.nowMs(), toMs: null }),
      onLost: () => (stays.at(-1)!.toMs = world.nowMs()),
      onFatal: ({ message }) => fatal.push(message),
    })
    return { ...parts, kept, stays, fatal }
  }
  const observerOf = (name: string) => {
    const parts = processOf(name)
    const told: { readonly what: string; readonly atMs: number }[] = []
    parts.membership.watch((event: MemberEvent) => told.push({ what: `${event.kind} ${event.member.address}${event.kind === 'gone' ? ` ${event.reason}` : ''}`, atMs: world.nowMs() }))
    return { ...parts, told, heard: () => told.map(({ what }) => what) }
  }
  const cut = ({ place, link }: { place: ReturnType<typeof bus.place>; link: BrokerLink }, isCut: boolean): void => {
    place.partition = isCut ? 1 : 0
    link.reachChanged()
  }
  return { world, broker, memberOf, observerOf, processOf, cut }
}

test('members are told once as they come, and once as they leave; who watches later hears of those there are', () => {
  const { world, memberOf, observerOf } = clusterOf()
  const early = observerOf('o1')
  const a = memberOf('a')
  world.runFor(10_000)
  const late = observerOf('o2')
  world.runFor(1_000)
  a.kept.leave()
  world.runFor(5_000)
  const expected = ['joined instance/a@1', 'gone instance/a@1 released']
  assert.deepEqual([early.heard(), late.heard()], [expected, expected])
})

test('who dies is told gone when its lease ran out; another of its name waits for that and comes under a new address', () => {
  const { world, memberOf, observerOf } = clusterOf()
  const { told } = observerOf('o')
  const a = memberOf('a')
  world.runFor(5_000)
  a.process.kill()
  a.link.close()
  const next = memberOf('a')
  world.runFor(5_000)
  assert.deepEqual(told.map(({ what }) => what), ['joined instance/a@1', 'gone instance/a@1 replaced', 'joined instance/a@2'])
  const { atMs } = told[1]!
  assert.ok(atMs > 6_000 && atMs < 7_500, `${atMs}`)
  assert.deepEqual(next.fatal, [])
})

test('a name that is in use stays with its holder', () => {
  const { world, memberOf } = clusterOf()
  memberOf('a')
  world.runFor(100)
  const second = memberOf('a')
  world.runFor(10_000)
  assert.deepEqual([second.stays, second.fatal.length], [[], 1])
})

test('who stands still while it waits for its former lease to end asks once more before it gives the name up', () => {
  const { world, memberOf } = clusterOf()
  const former = memberOf('a')
  world.runFor(100)
  former.process.kill()
  former.link.close()
  const next = memberOf('a')
  world.runFor(0.1)
  next.process.freeze(5_000)
  world.runFor(6_000)
  assert.deepEqual([next.fatal, next.stays.length], [[], 1])
})

test('who stands still too long is fenced at the thaw, before it does anything, and comes back under a new address', () => {
  const { world, memberOf, observerOf } = clusterOf()
  const { heard } = observerOf('o')
  const a = memberOf('a')
  world.runFor(3_000)
  const [first] = a.stays
  a.process.freeze(4_000)
  let wasFenced: boolean | null = null
  world.schedule(1_000, () => a.process.run(() => (wasFenced = a.membership.isFenced(first!.address))))
  world.runFor(10_000)
  assert.equal(wasFenced, true)
  assert.equal(a.stays.length, 2)
  assert.ok(first!.toMs !== null && first!.toMs >= 7_000 && a.stays[1]!.fromMs > first!.toMs)
  assert.deepEqual(heard(), ['joined instance/a@1', 'gone instance/a@1 expired', 'joined instance/a@2'])
})

test('a short freeze costs nothing', () => {
  const { world, memberOf, observerOf } = clusterOf()
  const { heard } = observerOf('o')
  const a = memberOf('a')
  world.runFor(3_000)
  a.process.freeze(800)
  world.runFor(10_000)
  assert.deepEqual([a.stays.length, heard()], [1, ['joined instance/a@1']])
})

test('who is cut off for longer than its TTL is told gone, and takes a new address once it is back', () => {
  const { world, memberOf, observerOf, cut } = clusterOf()
  const { heard } = observerOf('o')
  const a = memberOf('a')
  world.runFor(3_000)
  cut(a, true)
  world.runFor(6_000)
  assert.deepEqual(heard(), ['joined instance/a@1', 'gone instance/a@1 expired'])
  assert.equal(a.link.isConnected, false)
  cut(a, false)
  world.runFor(6_000)
  assert.deepEqual([a.stays.length, heard().at(-1)], [2, 'joined instance/a@2'])
})

test('an observer that is cut off tells nobody gone; back again, only who is gone for good', () => {
  const { world, memberOf, observerOf, cut } = clusterOf()
  const observer = observerOf('o')
  memberOf('a')
  const b = memberOf('b')
  world.runFor(3_000)
  cut(observer, true)
  b.process.kill()
  world.runFor(20_000)
  assert.deepEqual(observer.heard().filter((what) => what.startsWith('gone')), [])
  cut(observer, false)
  world.runFor(6_000)
  assert.deepEqual(observer.heard().filter((what) => what.startsWith('gone')), ['gone instance/b@2 expired'])
})

test('a broker that restarts empty costs nobody its membership but who died meanwhile', () => {
  for (const downMs of [50, 1_000, 8_000]) {
    const { world, broker, memberOf, observerOf } = clusterOf()
    const { heard } = observerOf('o')
    const [a, b] = [memberOf('a'), memberOf('b')]
    world.runFor(3_000)
    broker.restart(downMs)
    b.process.kill()
    b.link.close()
    world.runFor(downMs + 10_000)
    assert.deepEqual(heard().filter((what) => what.startsWith('gone')), ['gone instance/b@2 expired'], `${downMs}`)
    assert.deepEqual([a.stays.length, a.stays[0]!.toMs], [1, null])
  }
})

test('one candidate leads; another follows when it dies, stands still or resigns its lease to a restarted broker, never two at a time', () => {
  const { world, broker, processOf } = clusterOf(5)
  const candidates = ['m1', 'm2'].map((name) => {
    const parts = processOf(name)
    return { ...parts, election: new SimElection(parts.leases, { role: 'migrator', candidate: name }) }
  })
  const leaders = (): string[] => candidates.filter(({ process, election }) => process.isAlive && !process.isFrozen && election.isLeader(world.nowMs())).map(({ process }) => process.name)
  const seen: string[] = []
  const watch = (forMs: number): void => {
    for (let spentMs = 0; spentMs < forMs; spentMs += 10) {
      world.runFor(10)
      const now = leaders()
      assert.ok(now.length <= 1, `two lead at ${world.nowMs()}`)
      if (now.length === 1 && now[0] !== seen.at(-1)) seen.push(now[0]!)
    }
  }
  watch(6_000)
  assert.equal(seen.length, 1)
  candidates.find(({ process }) => process.name === seen[0])!.process.freeze(6_000)
  watch(10_000)
  assert.equal(seen.length, 2)
  broker.restart(500)
  watch(10_000)
  assert.equal(leaders().length, 1)
  candidates.find(({ process }) => process.name === leaders()[0])!.process.kill()
  watch(10_000)
  assert.equal(leaders().length, 1)
})
