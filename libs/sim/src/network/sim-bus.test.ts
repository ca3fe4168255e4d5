import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimWorld } from '../sim-world.ts'
import { SimBus } from './sim-bus.ts'

const NUM_MESSAGES = 400

function rig() {
  const world = new SimWorld({ seed: 4 })
  const bus = new SimBus({ world, latency: () => ({ baseMs: 1, jitterMs: 2 }), knowsReceivers: false })
  const received: number[] = []
  bus.register('to', (_from, payload) => received.push(payload as number))
  const sendAll = (): void => {
    for (let i = 0; i < NUM_MESSAGES; i++) bus.send('from', 'to', i)
  }
  return { world, bus, received, sendAll }
}

const isRising = (values: readonly number[]): boolean => values.every((value, place) => place === 0 || value > values[place - 1]!)

test('lost messages are lost at about their rate, the others keep their order, and the sender cannot tell', () => {
  const { world, bus, received, sendAll } = rig()
  bus.faults.lossRatio = 0.25
  sendAll()
  world.runUntilIdle()
  const lostRatio = 1 - received.length / NUM_MESSAGES
  assert.ok(Math.abs(lostRatio - 0.25) < 0.08, `${lostRatio}`)
  assert.ok(isRising(received))
  assert.equal(bus.send('from', 'nobody', 1), 'sent')
  assert.deepEqual([bus.numSent, bus.numLost], [NUM_MESSAGES + 1, NUM_MESSAGES - received.length + 1])
})

test('reordering breaks the order of a link and loses nothing; without it the order is back', () => {
  const { world, bus, received, sendAll } = rig()
  bus.faults.reorderRatio = 0.2
  sendAll()
  world.runUntilIdle()
  assert.ok(!isRising(received))
  assert.deepEqual(received.toSorted((a, b) => a - b), Array.from({ length: NUM_MESSAGES }, (_, i) => i))
  bus.faults.reorderRatio = 0
  received.length = 0
  sendAll()
  world.runUntilIdle()
  assert.ok(isRising(received))
})

test('messages of one moment arrive in order whatever their sums of delays round to', () => {
  const { world, bus, received } = rig()
  for (let i = 0; i < NUM_MESSAGES; i++) world.schedule(0.1 * i, () => bus.send('from', 'to', i))
  world.runUntilIdle()
  assert.ok(isRising(received))
})

test('a place that is cut off, and a broker that is down, let nothing through, nor what was under way', () => {
  const { world, bus, received } = rig()
  const place = bus.place('to')
  bus.send('from', 'to', 1)
  place.partition = 1
  bus.send('from', 'to', 2)
  world.runUntilIdle()
  place.partition = 0
  bus.send('from', 'to', 3)
  world.runUntilIdle()
  bus.send('from', 'to', 4)
  bus.faults.isDown = true
  bus.send('from', 'to', 5)
  world.runUntilIdle()
  bus.faults.isDown = false
  bus.send('from', 'to', 6)
  world.runUntilIdle()
  assert.deepEqual(received, [3, 6])
})

test('a slow link takes its factor longer', () => {
  const { world, bus, received } = rig()
  bus.faults.latencyFactor = 100
  bus.send('from', 'to', 1)
  world.runFor(99)
  assert.deepEqual(received, [])
  world.runFor(201)
  assert.deepEqual(received, [1])
})
