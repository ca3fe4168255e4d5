import assert from 'node:assert/strict'
import { test } from 'node:test'
import { busContract } from '@rubato/bus/contract'
import { randomStream } from './random-stream.ts'
import { SimBus } from './network/sim-bus.ts'
import { SimWorld } from './sim-world.ts'

const LIMIT_MS = 60_000

busContract({
  name: 'simulated bus',
  knowsReceivers: true,
  create: () => {
    const world = new SimWorld({ seed: 3 })
    return {
      bus: new SimBus({ world, latency: () => ({ baseMs: 1, jitterMs: 5 }) }),
      until: async (condition) => assert.ok(world.runUntil(condition, LIMIT_MS)),
      close: async () => {},
    }
  },
})

test('the clock jumps from event to event, and runFor leaves it at the end of its time', () => {
  const world = new SimWorld({ seed: 1 })
  const seen: [string, number][] = []
  world.schedule(30, () => seen.push(['c', world.nowMs()]))
  world.schedule(10, () => {
    seen.push(['a', world.nowMs()])
    world.schedule(0, () => seen.push(['b', world.nowMs()]))
  })
  world.schedule(20, () => seen.push(['never', world.nowMs()]))()
  world.runFor(25)
  assert.deepEqual(seen, [['a', 10], ['b', 10]])
  assert.equal(world.nowMs(), 25)
  world.runUntilIdle()
  assert.deepEqual(seen.at(-1), ['c', 30])
  assert.equal(world.numEvents, 3)
})

test('runUntil stops at its condition, at its limit, or when nothing is left', () => {
  const world = new SimWorld({ seed: 1 })
  let ticks = 0
  const tick = (): void => {
    ticks += 1
    world.schedule(1, tick)
  }
  world.schedule(1, tick)
  assert.equal(world.runUntil(() => ticks === 5, 100), true)
  assert.equal(world.nowMs(), 5)
  assert.equal(world.runUntil(() => false, 10), false)
  assert.equal(ticks, 15)
  assert.equal(new SimWorld({ seed: 1 }).runUntil(() => false, 10), false)
})

test('random streams differ by seed and name, and are independent of one another', () => {
  const draw = (seed: number, name: string) => Array.from({ length: 4 }, ((stream) => () => stream.next())(randomStream(seed, name)))
  assert.deepEqual(draw(1, 'a'), draw(1, 'a'))
  assert.notDeepEqual(draw(1, 'a'), draw(2, 'a'))
  assert.notDeepEqual(draw(1, 'a'), draw(1, 'b'))
  const stream = randomStream(7, 'mean')
  let sum = 0
  for (let i = 0; i < 20_000; i++) sum += stream.between(-1, 3)
  assert.ok(Math.abs(sum / 20_000 - 1) < 0.05)
})

test('messages of a link keep their order under jitter, and take at least its base latency', () => {
  const world = new SimWorld({ seed: 9 })
  const bus = new SimBus({ world, latency: (from) => ({ baseMs: from === 'far' ? 50 : 1, jitterMs: 10 }) })
  const arrivals: [string, unknown, number][] = []
  bus.register('to', (from, payload) => arrivals.push([from, payload, world.nowMs()]))
  bus.send('far', 'to', 0)
  for (let i = 0; i < 20; i++) bus.send('near', 'to', i)
  world.runUntilIdle()
  assert.deepEqual(arrivals.filter(([from]) => from === 'near').map(([, payload]) => payload), Array.from({ length: 20 }, (_, i) => i))
  assert.equal(arrivals.at(-1)?.[0], 'far')
  assert.ok((arrivals.at(-1)?.[2] ?? 0) >= 50)
})
