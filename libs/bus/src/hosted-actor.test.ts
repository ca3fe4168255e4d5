import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualScheduler, ProbeActor } from '@rubato/testing'
import { hostOnBus } from './hosted-actor.ts'
import { InProcessBus } from './in-process-bus.ts'

test('an address exists while an incarnation is alive', () => {
  const scheduler = manualScheduler()
  const bus = new InProcessBus({ defer: (drain) => scheduler.schedule(0, drain), freezePayloads: true })
  const probes: ProbeActor[] = []
  const hosted = hostOnBus({
    address: 'probe',
    factory: () => {
      const actor = new ProbeActor()
      probes.push(actor)
      return { actor }
    },
    restart: { maxRestarts: 1, windowMs: 1000, firstBackoffMs: 5, backoffFactor: 2, maxBackoffMs: 100 },
  }, { bus, scheduler })
  assert.equal(bus.send('x', 'probe', { boom: 'now' }), 'sent')
  bus.send('x', 'probe', { note: 'lost with the incarnation it was sent to' })
  scheduler.advance(1)
  assert.equal(bus.send('x', 'probe', { note: 'while down' }), 'no-receiver')
  scheduler.advance(5)
  assert.equal(bus.send('x', 'probe', { note: 'back' }), 'sent')
  scheduler.advance(1)
  assert.deepEqual(probes.map((probe) => probe.notes()), [[], ['back']])
  hosted.stop()
  assert.equal(bus.send('x', 'probe', { note: 'gone' }), 'no-receiver')
})

test('an actor reaches others through send, as itself', () => {
  const scheduler = manualScheduler()
  const bus = new InProcessBus({ defer: (drain) => scheduler.schedule(0, drain), freezePayloads: true })
  const received: unknown[] = []
  bus.register('y', (from, payload) => received.push([from, payload]))
  const send = { kind: 'send', id: 1, to: 'y', payload: { note: 'hello' } }
  hostOnBus({ address: 'x', factory: () => ({ actor: new ProbeActor([send]) }) }, { bus, scheduler })
  scheduler.advance(1)
  assert.deepEqual(received, [['x', { note: 'hello' }]])
})
