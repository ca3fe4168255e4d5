import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Effect, EffectRun, TimerEffect } from '@rubato/actor'
import { busContract } from '@rubato/bus/contract'
import type { Engine, EngineCommand, EngineResult } from '@rubato/model'
import { manualScheduler, ProbeActor } from '@rubato/testing'
import { asyncPort } from './async-port.ts'
import { engineEffects } from './engine-effects.ts'
import { liveBus } from './live-bus.ts'
import { LiveScheduler } from './live-scheduler.ts'
import { LiveShell } from './live-shell.ts'

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}

busContract({ name: 'live in-process bus', knowsReceivers: true, create: () => ({ bus: liveBus(), until, close: async () => {} }) })

function effects(...list: readonly (Effect | TimerEffect)[]): readonly Effect[] {
  return list
}

test('callbacks run in order of due time, none early, and those scheduled meanwhile in a later turn', async () => {
  const scheduler = new LiveScheduler()
  const ran: string[] = []
  /** When each is due, as closely as it is known from outside: the process may stand still between two lines. */
  const due = new Map<string, { readonly leastMs: number; readonly mostMs: number }>()
  const schedule = (name: string, delayMs: number, then = (): void => {}): (() => void) => {
    const leastMs = scheduler.nowMs() + delayMs
    const cancel = scheduler.schedule(delayMs, () => {
      assert.ok(scheduler.nowMs() >= leastMs)
      then()
      ran.push(name)
    })
    due.set(name, { leastMs, mostMs: scheduler.nowMs() + delayMs })
    return cancel
  }
  const cancelFar = schedule('far', 3_600_000)
  schedule('5', 5)
  schedule('never', 1)()
  schedule('2', 2)
  schedule('0a', 0, () => schedule('0b', 0))
  await until(() => ran.length === 4)
  cancelFar()
  assert.deepEqual(ran.toSorted(), ['0a', '0b', '2', '5'])
  const first = ran.filter((name) => name !== '0b').map((name) => due.get(name)!)
  for (const [place, { leastMs }] of first.entries()) for (const later of first.slice(place)) assert.ok(leastMs <= later.mostMs, ran.join())
  assert.ok(ran.indexOf('0a') < ran.indexOf('0b'))
})

test('stop aborts handlers and waits for them', async () => {
  const shell = new LiveShell({ bus: liveBus() })
  let wasAborted = false
  const work = asyncPort({
    limit: 1,
    perform: async (_effect, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      await nextTurn()
      wasAborted = true
    },
  })
  const probe = new ProbeActor(effects({ kind: 'work', id: 1 }))
  shell.spawn({ address: 'a', factory: () => ({ actor: probe, effects: { work } }) })
  assert.deepEqual(await shell.stop(), { numUnsettled: 0 })
  assert.ok(wasAborted)
  assert.deepEqual(probe.received, [])
  assert.throws(() => shell.spawn({ address: 'b', factory: () => ({ actor: new ProbeActor() }) }), { code: 'shell_stopped' })
})

test('stop gives up on a handler that never settles when its limit is reached', async () => {
  const scheduler = manualScheduler()
  const shell = new LiveShell({ bus: liveBus(), scheduler, stopTimeoutMs: 100 })
  const stuck = { limit: 1, perform: (_effect: Effect, _run: EffectRun): void => {} }
  shell.spawn({ address: 'a', factory: () => ({ actor: new ProbeActor(effects({ kind: 'stuck', id: 1 })), effects: { stuck } }) })
  const stopped = shell.stop()
  scheduler.advance(100)
  assert.deepEqual(await stopped, { numUnsettled: 1 })
})

test('a rejected promise fails its effect with the error\'s code', async () => {
  const shell = new LiveShell({ bus: liveBus() })
  const work = asyncPort({ limit: 1, perform: () => Promise.reject(new Error('no such word')) })
  const probe = new ProbeActor(effects({ kind: 'work', id: 1 }))
  shell.spawn({ address: 'a', factory: () => ({ actor: probe, effects: { work } }) })
  await until(() => probe.received.length > 0)
  assert.deepEqual(probe.outcomesOf(1), [{ kind: 'failed', error: { code: 'internal', message: 'no such word', retryable: false } }])
  await shell.stop()
})

test('the engine port executes commands in order and reports a dead engine as engine_failed; bytes are free once they are installed', async () => {
  const executed: EngineCommand[] = []
  const result: EngineResult = { kind: 'install-blocks' }
  const engine: Pick<Engine, 'execute'> = {
    execute: async (command) => {
      executed.push(command)
      if (executed.length > 2) throw new Error('worker exited')
      return result
    },
  }
  const bytesOf = (block: number): Uint8Array => Uint8Array.of(block)
  const installed: Uint8Array[] = []
  const commands = [1, 2, 3].map((block): EngineCommand => ({ kind: 'install-blocks', blockIds: [block], bytes: bytesOf(block) }))
  const probe = new ProbeActor(commands.map((command, i) => ({ kind: 'engine', id: i + 1, command })))
  const shell = new LiveShell({ bus: liveBus() })
  shell.spawn({ address: 'i', factory: () => ({ actor: probe, effects: engineEffects(engine as Engine, (bytes) => installed.push(bytes)) }) })
  await until(() => probe.received.length === 3)
  assert.deepEqual(executed, commands)
  assert.deepEqual(installed, [bytesOf(1), bytesOf(2)])
  assert.deepEqual(probe.outcomesOf(1), [{ kind: 'done', value: result }])
  assert.deepEqual(probe.outcomesOf(3), [{ kind: 'failed', error: { code: 'engine_failed', message: 'worker exited', retryable: false } }])
  await shell.stop()
})

test('a crashed actor restarts in real time and is told apart by its incarnation', async () => {
  const shell = new LiveShell({ bus: liveBus() })
  const probes: ProbeActor[] = []
  const actor = shell.spawn({
    address: 'a',
    restart: { maxRestarts: 3, windowMs: 60_000, firstBackoffMs: 1, backoffFactor: 2, maxBackoffMs: 10 },
    factory: () => {
      const probe = new ProbeActor()
      probes.push(probe)
      return { actor: probe }
    },
  })
  actor.deliver('x', { boom: 'now' })
  await until(() => actor.incarnation === 2)
  actor.deliver('x', { note: 'hello again' })
  assert.deepEqual(probes[1]?.notes(), ['hello again'])
  await shell.stop()
})
