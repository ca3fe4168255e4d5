import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adviseScaling, INSIDE } from './scaling.ts'
import type { ScalingAdvice, ScalingState } from './scaling.ts'
import type { MigrationInstance } from './snapshot.ts'

function instance(instanceId: string, freenessBlocks: number, numRunning = 4, changes: Partial<MigrationInstance> = {}): MigrationInstance {
  return {
    instanceId, modelFingerprint: 'm', role: 'mixed', isDraining: false, canShip: true, freenessBlocks, numRunning, numWaiting: 0, contextBlocks: 20 * numRunning, preemptedAgoMs: null,
    ...changes,
  }
}

function adviceOver(fleetAt: (nowMs: number) => readonly MigrationInstance[], untilMs: number): (readonly [number, ScalingAdvice])[] {
  let state: ScalingState = INSIDE
  const said: (readonly [number, ScalingAdvice])[] = []
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 1000) {
    const look = adviseScaling(state, fleetAt(nowMs), nowMs)
    state = look.state
    if (look.advice.kind !== 'hold') said.push([nowMs, look.advice])
  }
  return said
}

test('below the range for ten seconds without a break: grow', () => {
  assert.deepEqual(adviceOver(() => [instance('a', 2), instance('b', 16)], 11_000), [[10_000, { kind: 'grow' }], [11_000, { kind: 'grow' }]])
  assert.deepEqual(adviceOver((nowMs) => [instance('a', nowMs === 9_000 ? 12 : 2)], 18_000), [])
})

test('above the range for a minute: the one with the fewest running requests may leave', () => {
  const fleet = [instance('a', 200, 4), instance('b', 300, 1), instance('c', 150, 4)]
  assert.deepEqual(adviceOver(() => fleet, 60_000), [[60_000, { kind: 'shrink', instanceId: 'b' }]])
})

test('nobody leaves who is alone, or whose requests the others could not take', () => {
  assert.deepEqual(adviceOver(() => [instance('a', 200)], 70_000), [])
  // Without b: (21 * 40 - 400) / 60 < 10.
  assert.deepEqual(adviceOver(() => [instance('a', 21, 40), instance('b', 110, 20, { contextBlocks: 400 }), instance('c', 70, 3, { isDraining: true })], 70_000), [])
})

test('draining instances count for nothing', () => {
  assert.deepEqual(adviceOver(() => [instance('a', 30), instance('b', 900, 0, { isDraining: true })], 70_000), [])
})
