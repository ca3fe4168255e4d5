// Both shells perform effects alike.
import assert from 'node:assert/strict'
import { InProcessBus } from '@rubato/bus'
import { LiveShell } from '@rubato/runtime'
import type { LiveActor } from '@rubato/runtime'
import { SimBus, SimShell, SimWorld } from '@rubato/sim'
import { effectConformance } from '@rubato/testing'
import type { ConformanceShell } from '@rubato/testing'

const LIMIT_MS = 30_000

function live(): ConformanceShell {
  const bus = new InProcessBus({ defer: (drain) => setImmediate(drain), freezePayloads: true })
  const shell = new LiveShell({ bus, stopTimeoutMs: 0 })
  const actors = new Map<string, LiveActor>()
  return {
    host: ({ address, actor, effects, limits }) => {
      actors.set(address, shell.spawn({ address, factory: () => ({ actor, effects }), ...(limits === undefined ? {} : { limits }) }))
    },
    send: (from, to, payload) => bus.send(from, to, payload),
    until: async (condition) => {
      const startedMs = performance.now()
      while (!condition()) {
        assert.ok(performance.now() - startedMs < LIMIT_MS, 'the condition never held')
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
    stopActor: (address) => void actors.get(address)?.stop(),
    close: async () => void (await shell.stop()),
  }
}

function simulated(): ConformanceShell {
  const world = new SimWorld({ seed: 1 })
  const bus = new SimBus({ world })
  const shell = new SimShell({ world, bus })
  return {
    host: ({ address, actor, effects, limits }) => shell.spawn({ address, factory: () => ({ actor, effects }), ...(limits === undefined ? {} : { limits }) }),
    send: (from, to, payload) => bus.send(from, to, payload),
    until: async (condition) => assert.ok(world.runUntil(condition, LIMIT_MS), 'the condition never held'),
    stopActor: (address) => shell.crash(address),
    close: async () => shell.stop(),
  }
}

effectConformance({ name: 'live shell', create: live })
effectConformance({ name: 'simulated shell', create: simulated })
