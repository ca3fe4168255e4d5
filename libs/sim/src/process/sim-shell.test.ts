import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EffectIds } from '@rubato/actor'
import type { Actor, Effect, Incoming } from '@rubato/actor'
import { ProbeActor } from '@rubato/testing'
import { SimBus } from '../network/sim-bus.ts'
import { SimShell } from './sim-shell.ts'
import { SimWorld } from '../sim-world.ts'

function rig(seed: number, onTrace?: (line: string) => void) {
  const world = new SimWorld({ seed, ...(onTrace === undefined ? {} : { onTrace }) })
  const bus = new SimBus({ world, latency: () => ({ baseMs: 1, jitterMs: 2 }) })
  return { world, bus, shell: new SimShell({ world, bus }) }
}

/** Passes a counter around a ring of actors, pausing on a timer each time; crashes on a counter it is told to. */
class RingActor implements Actor<unknown> {
  readonly #ids = new EffectIds()
  readonly #next: string
  readonly #pauseMs: number
  readonly #crashOn: number
  readonly #held: number[] = []

  constructor(next: string, pauseMs: number, crashOn: number) {
    this.#next = next
    this.#pauseMs = pauseMs
    this.#crashOn = crashOn
  }

  start(): readonly Effect[] {
    return []
  }

  receive(incoming: Incoming<unknown>): readonly Effect[] {
    if (incoming.kind === 'message') {
      const count = incoming.payload as number
      if (count === this.#crashOn) throw new Error(`count ${count}`)
      this.#held.push(count)
      return [{ kind: 'timer', id: this.#ids.next(), delayMs: this.#pauseMs } as Effect]
    }
    const count = incoming.effectKind === 'timer' ? this.#held.shift() : undefined
    return count === undefined ? [] : [{ kind: 'send', id: this.#ids.next(), to: this.#next, payload: count + 1 } as Effect]
  }
}

function ringTrace(seed: number): Uint8Array {
  const lines: string[] = []
  const { world, bus, shell } = rig(seed, (line) => lines.push(line))
  const addresses = ['r0', 'r1', 'r2', 'r3']
  addresses.forEach((address, i) => {
    shell.spawn({
      address,
      factory: (incarnation) => ({ actor: new RingActor(addresses[(i + 1) % 4]!, i, i === 2 && incarnation === 1 ? 14 : -1) }),
      restart: { maxRestarts: 2, windowMs: 1000, firstBackoffMs: 3, backoffFactor: 2, maxBackoffMs: 50 },
    })
  })
  for (let i = 0; i < 5; i++) bus.send('outside', addresses[i % 4]!, i)
  world.runFor(200)
  shell.crash('r3')
  world.runFor(200)
  return new TextEncoder().encode(lines.join('\n'))
}

test('the same seed gives the same trace, byte for byte; another seed another one', () => {
  const first = ringTrace(17)
  assert.ok(first.length > 5_000)
  assert.deepEqual(ringTrace(17), first)
  assert.notDeepEqual(ringTrace(18), first)
  const text = new TextDecoder().decode(first)
  for (const word of ['crashed r2 1', 'restarting r2 2', 'started r2 2', 'killed r3', 'no_receiver']) assert.ok(text.includes(word), word)
})

test('a crash drops the actor, its pending effects and what is under way to it', () => {
  const lines: string[] = []
  const { world, bus, shell } = rig(1, (line) => lines.push(line))
  const victim = new ProbeActor([{ kind: 'timer', id: 1, delayMs: 10 } as Effect])
  const successor = new ProbeActor()
  shell.spawn({ address: 'a', factory: () => ({ actor: victim }) })
  bus.send('x', 'a', { note: 'under way' })
  shell.crash('a')
  assert.equal(bus.send('x', 'a', { note: 'too late' }), 'no-receiver')
  shell.spawn({ address: 'a', factory: () => ({ actor: successor }) })
  bus.send('x', 'a', { note: 'to the successor' })
  world.runUntilIdle()
  assert.deepEqual(victim.received, [])
  assert.deepEqual(successor.notes(), ['to the successor'])
  assert.ok(lines.some((line) => line.includes('lost x a')))
  assert.throws(() => shell.crash('b'), { code: 'no_such_actor' })
})

test('an address is taken once, and deliver goes past the bus', () => {
  const { shell } = rig(1)
  const probe = new ProbeActor()
  shell.spawn({ address: 'a', factory: () => ({ actor: probe }) })
  assert.throws(() => shell.spawn({ address: 'a', factory: () => ({ actor: probe }) }), { code: 'address_taken' })
  assert.ok(shell.deliver('x', 'a', { note: 'now' }))
  assert.equal(shell.deliver('x', 'b', { note: 'now' }), false)
  assert.deepEqual(probe.notes(), ['now'])
  shell.stop()
  assert.equal(shell.deliver('x', 'a', { note: 'later' }), false)
})
