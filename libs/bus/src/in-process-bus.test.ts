import assert from 'node:assert/strict'
import { test } from 'node:test'
import { busContract } from './contract/bus-contract.ts'
import { InProcessBus } from './in-process-bus.ts'

/** A bus whose turns happen when the test says so. */
function manualBus() {
  let due: (() => void)[] = []
  const bus = new InProcessBus({ defer: (drain) => due.push(drain), freezePayloads: true })
  const turn = (): boolean => {
    const drains = due
    due = []
    for (const drain of drains) drain()
    return drains.length > 0
  }
  return { bus, turn }
}

busContract({
  name: 'in-process bus',
  knowsReceivers: true,
  create: () => {
    const { bus, turn } = manualBus()
    return {
      bus,
      until: async (condition) => {
        while (!condition()) assert.ok(turn(), 'the bus is idle and the condition does not hold')
      },
      close: async () => {},
    }
  },
})

test('a chatty pair gets one exchange per turn', () => {
  const { bus, turn } = manualBus()
  let numPings = 0
  bus.register('a', (from) => {
    numPings += 1
    bus.send('a', from, 'pong')
  })
  bus.register('b', (from) => bus.send('b', from, 'ping'))
  bus.send('b', 'a', 'ping')
  for (let i = 0; i < 10; i++) turn()
  assert.equal(numPings, 5)
})

test('many messages of a turn take one drain', () => {
  let numDrains = 0
  const bus = new InProcessBus({ defer: () => (numDrains += 1) })
  bus.register('a', () => {})
  for (let i = 0; i < 100; i++) bus.send('b', 'a', i)
  assert.equal(numDrains, 1)
})

test('a payload is frozen, not copied', () => {
  const { bus, turn } = manualBus()
  const payload = { list: [1, 2], bytes: new Uint8Array(2) }
  let received: unknown
  bus.register('a', (_from, value) => (received = value))
  bus.send('b', 'a', payload)
  assert.throws(() => payload.list.push(3), TypeError)
  turn()
  assert.equal(received, payload)
})

test('a receiver that throws does not take the others\' messages with it', () => {
  const { bus, turn } = manualBus()
  const received: unknown[] = []
  bus.register('bad', () => {
    throw new Error('bad receiver')
  })
  bus.register('good', (_from, payload) => received.push(payload))
  bus.send('x', 'bad', 1)
  bus.send('x', 'good', 2)
  assert.throws(turn, /bad receiver/)
  turn()
  assert.deepEqual(received, [2])
})
