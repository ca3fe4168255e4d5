import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualScheduler, ProbeActor, seededRandom, testSeed } from '@rubato/testing'
import type { Actor, Effect, Incoming } from './actor.ts'
import { DONE } from './effect-port.ts'
import type { EffectPort, EffectRun, EffectTable } from './effect-port.ts'
import { ActorHost } from './host.ts'
import { timerPort } from './timer-port.ts'

function rig(actor: Actor<unknown>, effects: EffectTable = {}) {
  const scheduler = manualScheduler()
  const crashes: unknown[] = []
  const host = new ActorHost({ actor, effects: { timer: timerPort(scheduler, 8), ...effects }, scheduler, onCrash: (error) => crashes.push(error) })
  return { host, scheduler, crashes }
}

const instant: EffectPort = { limit: 1, perform: (_effect, run) => run.complete(DONE) }

test('start effects run before any message, completions follow the order of effects', () => {
  const probe = new ProbeActor([{ kind: 'instant', id: 1 }, { kind: 'instant', id: 2 }])
  const { host } = rig(probe, { instant })
  host.start()
  host.deliver('a', { note: 'first' })
  assert.deepEqual(probe.received.map((incoming) => (incoming.kind === 'completion' ? incoming.effectId : 'message')), [1, 2, 'message'])
})

test('messages that arrive while the actor runs wait their turn', () => {
  const order: string[] = []
  let depth = 0
  const actor: Actor<unknown> = {
    start: () => [],
    receive(incoming: Incoming<unknown>) {
      depth += 1
      assert.equal(depth, 1)
      if (incoming.kind === 'message') order.push(String(incoming.payload))
      if (incoming.kind === 'message' && incoming.payload === 'a') host.deliver('x', 'c')
      depth -= 1
      return incoming.kind === 'message' && incoming.payload === 'a' ? [{ kind: 'loop', id: 1 }] : []
    },
  }
  const loop: EffectPort = {
    limit: 1,
    perform(_effect, run) {
      host.deliver('x', 'd')
      run.complete(DONE)
    },
  }
  const { host } = rig(actor, { loop })
  host.start()
  host.deliver('x', 'a')
  host.deliver('x', 'b')
  assert.deepEqual(order, ['a', 'c', 'd', 'b'])
})

test('a turn is bounded: an actor that feeds itself yields to the scheduler and goes on', () => {
  let numLeft = 3000
  const actor: Actor<unknown> = {
    start: () => [{ kind: 'instant', id: 0 }],
    receive: () => (numLeft-- > 0 ? [{ kind: 'instant', id: numLeft }] : []),
  }
  const { host, scheduler } = rig(actor, { instant })
  host.start()
  assert.ok(numLeft > 0)
  host.deliver('x', 'kept in order')
  scheduler.advance(0)
  assert.equal(numLeft, -2)
  assert.equal(scheduler.numPending(), 0)
})

test('an actor stopped between two turns never takes the second', () => {
  const actor: Actor<unknown> = { start: () => [{ kind: 'instant', id: 0 }], receive: () => [{ kind: 'instant', id: 0 }] }
  const { host, scheduler } = rig(actor, { instant })
  host.start()
  assert.equal(scheduler.numPending(), 1)
  host.stop()
  assert.equal(scheduler.numPending(), 0)
})

test('a throw ends the incarnation: effects are aborted, nothing is delivered any more', () => {
  const probe = new ProbeActor([{ kind: 'timer', id: 1, delayMs: 5 } as Effect])
  const { host, scheduler, crashes } = rig(probe)
  host.start()
  assert.equal(host.numUnsettled, 1)
  host.deliver('x', { boom: 'broken' })
  host.deliver('x', { note: 'dropped' })
  scheduler.advance(100)
  assert.equal(crashes.length, 1)
  assert.match(String(crashes[0]), /broken/)
  assert.equal(host.numUnsettled, 0)
  assert.equal(scheduler.numPending(), 0)
  assert.equal(probe.received.length, 1)
})

test('an effect id used twice at a time, or a handler that throws after completing, ends the incarnation', () => {
  const twice = rig(new ProbeActor([{ kind: 'timer', id: 1, delayMs: 5 } as Effect, { kind: 'timer', id: 1, delayMs: 5 } as Effect]))
  twice.host.start()
  assert.match(String(twice.crashes[0]), /effect id 1/)
  const rude: EffectPort = {
    limit: 1,
    perform(_effect, run) {
      run.complete(DONE)
      throw new Error('rude')
    },
  }
  const late = rig(new ProbeActor([{ kind: 'rude', id: 1 }]), { rude })
  late.host.start()
  assert.match(String(late.crashes[0]), /rude/)
})

test('stop waits for handlers to settle', () => {
  const runs: EffectRun[] = []
  const slow: EffectPort = { limit: 4, perform: (_effect, run) => runs.push(run) }
  const probe = new ProbeActor([{ kind: 'slow', id: 1 }, { kind: 'slow', id: 2 }])
  const { host } = rig(probe, { slow })
  host.start()
  let isSettled = false
  host.stop(() => (isSettled = true))
  assert.ok(runs.every(({ signal }) => signal.aborted))
  runs[0]?.complete(DONE)
  assert.equal(isSettled, false)
  runs[1]?.complete(DONE)
  assert.equal(isSettled, true)
  assert.deepEqual(probe.received, [])
})

test('under random messages, completions and cancels every effect completes exactly once and limits hold', () => {
  const seed = testSeed(41)
  const random = seededRandom(seed)
  for (let round = 0; round < 50; round++) {
    const probe = new ProbeActor()
    const runs = new Map<number, EffectRun>()
    const work: EffectPort = { limit: 3, perform: (effect, run) => runs.set(effect.id, run) }
    const { host, scheduler } = rig(probe, { work, instant })
    host.start()
    const ids: number[] = []
    for (let step = 0; step < 100; step++) {
      const id = probe.ids.next()
      const roll = random.int(5)
      const effect = roll === 0 ? { kind: 'cancel', id, target: 1 + random.int(id) }
        : roll === 1 ? { kind: 'timer', id, delayMs: random.int(10) }
          : { kind: roll === 2 ? 'instant' : 'work', id }
      ids.push(id)
      host.deliver('x', { effects: [effect] })
      if (random.int(3) === 0 && runs.size > 0) random.pick([...runs.values()]).complete(DONE)
      if (random.int(3) === 0) scheduler.advance(random.int(5))
      assert.ok(host.numUnsettled <= 3 + 8, `seed ${seed}`)
    }
    for (const run of runs.values()) run.complete(DONE)
    scheduler.advance(100)
    for (const id of ids) assert.equal(probe.outcomesOf(id).length, 1, `seed ${seed}, round ${round}, effect ${id}`)
    assert.equal(host.numUnsettled, 0)
  }
})
