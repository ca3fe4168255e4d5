import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimWorld } from '../sim-world.ts'
import { scheduleArrivals } from './arrivals.ts'
import type { ReferenceRequest } from './trace.ts'

const at = (arrivalMs: number): ReferenceRequest => ({ arrivalMs, promptTokens: 1, outputTokens: 1 })

test('what arrives at one instant comes together, before what it causes', () => {
  const world = new SimWorld({ seed: 1 })
  const seen: [string, number][] = []
  scheduleArrivals(world, [at(0), at(5), at(5), at(5), at(9)], (_request, index) => {
    seen.push([`request ${index}`, world.nowMs()])
    world.schedule(0, () => seen.push([`effect ${index}`, world.nowMs()]))
  })
  world.runUntilIdle()
  assert.deepEqual(seen.map(([what]) => what), [
    'request 0', 'effect 0', 'request 1', 'request 2', 'request 3', 'effect 1', 'effect 2', 'effect 3', 'request 4', 'effect 4',
  ])
  assert.deepEqual(seen.map(([, nowMs]) => nowMs), [0, 0, 5, 5, 5, 5, 5, 5, 9, 9])
})

test('a trace out of order is refused', () => {
  assert.throws(() => scheduleArrivals(new SimWorld({ seed: 1 }), [at(2), at(1)], () => {}), { code: 'trace_unsorted' })
})
