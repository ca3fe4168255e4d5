import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connect } from '@nats-io/transport-node'
import { startNatsServer } from '@rubato/testing'
import { busContract } from '../contract/bus-contract.ts'
import { connectNats } from './connect/connect-nats.ts'
import { testLink, until } from './fixtures/link.ts'
import type { BusProblem } from './nats-bus.ts'
import { WireCodec } from './wire.ts'

const server = await startNatsServer({ after }, { maxPayloadBytes: 64 * 1024 })

let numClusters = 0
busContract({
  name: 'NATS bus',
  knowsReceivers: false,
  create: async () => {
    const link = await connectNats({ servers: [server.url], cluster: `contract-${numClusters++}`, name: 'contract' })
    return { bus: link.bus, until, close: () => link.close() }
  },
})

test('two processes of a cluster reach each other; another cluster on the same server hears nothing', async (t) => {
  const [a, b, other] = [await testLink(t, server.url), await testLink(t, server.url), await testLink(t, server.url, { cluster: 'other' })]
  const received: unknown[] = []
  b!.bus.register('instance/d1@n1', (from, payload) => received.push([from, payload]))
  other!.bus.register('instance/d1@n1', () => assert.fail('another cluster'))
  // Until the server knows the subscription nothing arrives: at most once.
  await until(() => a!.bus.send('router/r1@n2', 'instance/d1@n1', { kind: 'hello' }) === 'sent' && received.length > 0)
  assert.deepEqual(received[0], ['router/r1@n2', { kind: 'hello' }])
})

test('bytes arrive as bytes of their own', async (t) => {
  const { bus } = await testLink(t, server.url)
  const received: unknown[] = []
  const payload = { bytes: new Uint8Array([0, 255, 7]), floats: new Float32Array([0.5, -1]), none: undefined, big: 2 ** 53 - 1, text: 'é😀' }
  bus.register('a', (_from, value) => received.push(value))
  bus.send('b', 'a', payload)
  payload.bytes[0] = 9
  await until(() => received.length > 0)
  assert.deepEqual(received, [{ ...payload, bytes: new Uint8Array([0, 255, 7]) }])
})

test('a message above the server\'s limit is refused, and the connection lives on', async (t) => {
  const link = await testLink(t, server.url)
  assert.equal(link.maxPayloadBytes, 64 * 1024)
  const received: unknown[] = []
  link.bus.register('a', (_from, value) => received.push(value))
  assert.equal(link.bus.send('b', 'a', new Uint8Array(65 * 1024)), 'too-large')
  assert.equal(link.bus.send('b', 'a', 'small'), 'sent')
  await until(() => received.length > 0)
  assert.deepEqual(received, ['small'])
})

test('what cannot be read is dropped, and each sender reported once', async (t) => {
  const problems: BusProblem[] = []
  const { bus } = await testLink(t, server.url, { onProblem: (problem) => problems.push(problem) })
  const received: unknown[] = []
  bus.register('a', (_from, value) => received.push(value))
  const raw = await connect({ servers: server.url })
  t.after(() => raw.close())
  const foreign = new WireCodec().encode('router/old@1', 'hello')
  foreign[1] = 9
  await until(() => received.length > 0 || bus.send('b', 'a', 'ready') !== 'sent')
  for (let i = 0; i < 3; i++) raw.publish('rubato.test.to.a', foreign)
  raw.publish('rubato.test.to.a', new Uint8Array(0))
  raw.publish('rubato.test.to.a', new TextEncoder().encode('not for us'))
  await raw.flush()
  bus.send('b', 'a', 'after')
  await until(() => received.at(-1) === 'after')
  assert.deepEqual(problems, [
    { kind: 'protocol_mismatch', from: 'router/old@1', to: 'a', major: 9 },
    { kind: 'undecodable', to: 'a', reason: 'not a bus message' },
  ])
})

test('a dot belongs to the name: it does not reach another address', async (t) => {
  const { bus } = await testLink(t, server.url)
  const received: unknown[] = []
  for (const address of ['instance/a.b@1', 'instance/a/b@1']) bus.register(address, (_from, value) => received.push([address, value]))
  bus.send('x', 'instance/a.b@1', 1)
  bus.send('x', 'instance/a/b@1', 2)
  await until(() => received.length === 2)
  assert.deepEqual(received, [['instance/a.b@1', 1], ['instance/a/b@1', 2]])
})

test('an address that would reach others is refused', async (t) => {
  const { bus } = await testLink(t, server.url)
  for (const address of ['', 'a/*', '>', 'a/', 'a b', 'instance/é', 'a%2Eb']) {
    assert.throws(() => bus.send('x', address, 1), { code: 'invalid_argument' }, address)
    assert.throws(() => bus.register(address, () => {}), { code: 'invalid_argument' }, address)
  }
})
