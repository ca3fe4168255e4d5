import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualScheduler, ProbeActor } from '@rubato/testing'
import { supervise } from './supervisor.ts'
import type { RestartPolicy, SupervisionEvent } from './supervisor.ts'
import { timerPort } from './timer-port.ts'

const POLICY: RestartPolicy = { maxRestarts: 2, windowMs: 1000, firstBackoffMs: 10, backoffFactor: 3, maxBackoffMs: 20 }

function rig(failFactory: (incarnation: number) => boolean = () => false) {
  const scheduler = manualScheduler()
  const probes: ProbeActor[] = []
  const events: SupervisionEvent[] = []
  const supervised = supervise({
    factory: (incarnation) => {
      if (failFactory(incarnation)) throw new Error(`no incarnation ${incarnation}`)
      const actor = new ProbeActor([{ kind: 'timer', id: 1, delayMs: 500 } as never])
      probes.push(actor)
      return { actor, effects: { timer: timerPort(scheduler, 4) } }
    },
    restart: POLICY,
    scheduler,
    onEvent: (event) => events.push(event),
  })
  return { scheduler, probes, events, supervised }
}

test('a crashed actor comes back after the backoff, without its predecessor\'s effects', () => {
  const { scheduler, probes, events, supervised } = rig()
  supervised.deliver('x', { boom: 'one' })
  supervised.deliver('x', { note: 'nobody home' })
  scheduler.advance(9)
  assert.equal(probes.length, 1)
  scheduler.advance(1)
  assert.equal(probes.length, 2)
  supervised.deliver('x', { note: 'hello' })
  assert.deepEqual(probes[1]?.notes(), ['hello'])
  scheduler.advance(600)
  assert.equal(probes[0]?.completions().length, 0)
  assert.equal(probes[1]?.completions().length, 1)
  assert.deepEqual(events.map(({ kind }) => kind), ['started', 'crashed', 'restarting', 'started'])
  assert.equal(supervised.incarnation, 2)
})

test('too many crashes within the window give the actor up; the backoff grows and is capped', () => {
  const { scheduler, events, supervised } = rig()
  for (let i = 0; i < 3; i++) {
    supervised.deliver('x', { boom: 'again' })
    scheduler.advance(50)
  }
  assert.deepEqual(events.flatMap((event) => (event.kind === 'restarting' ? [event.delayMs] : [])), [10, 20])
  assert.equal(events.at(-1)?.kind, 'gave-up')
  assert.equal(scheduler.numPending(), 0)
})

test('crashes that leave the window are forgotten', () => {
  const { scheduler, events, supervised } = rig()
  for (let i = 0; i < 6; i++) {
    supervised.deliver('x', { boom: 'again' })
    scheduler.advance(600)
  }
  assert.equal(events.some(({ kind }) => kind === 'gave-up'), false)
  assert.equal(supervised.incarnation, 7)
})

test('a factory that throws counts as a crash', () => {
  const { scheduler, events, supervised } = rig((incarnation) => incarnation === 1)
  scheduler.advance(10)
  assert.deepEqual(events.map(({ kind }) => kind), ['crashed', 'restarting', 'started'])
  assert.equal(supervised.incarnation, 2)
})

test('stop ends it for good, also during a backoff', () => {
  const { scheduler, probes, events, supervised } = rig()
  supervised.deliver('x', { boom: 'one' })
  let isSettled = false
  supervised.stop(() => (isSettled = true))
  scheduler.advance(1000)
  assert.ok(isSettled)
  assert.equal(probes.length, 1)
  assert.equal(events.at(-1)?.kind, 'stopped')
})
