import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomStream } from '@rubato/sim'
import { testSeed } from '@rubato/testing'
import { chaosSchedule, faultName, faultsPerRound } from './chaos-schedule.ts'
import type { ScheduledFault } from './chaos-schedule.ts'

const KINDS = ['router', 'prefill', 'decode'] as const
const SEED = testSeed(3)

function take(seed: number, count: number): ScheduledFault[] {
  const schedule = chaosSchedule(KINDS, randomStream(seed, 'chaos'))
  return Array.from({ length: count }, () => schedule.next().value)
}

test('every round has each kind of fault once, and the order is drawn anew', () => {
  const perRound = faultsPerRound(KINDS)
  const names = take(SEED, perRound * 6).map(({ fault }) => faultName(fault))
  const rounds = Array.from({ length: 6 }, (_, round) => names.slice(round * perRound, (round + 1) * perRound))
  for (const round of rounds) assert.equal(new Set(round).size, perRound, `seed ${SEED}: ${round.join(', ')}`)
  assert.ok(new Set(rounds.map((round) => round.join())).size > 1, `seed ${SEED}`)
})

test('the seed decides the whole schedule', () => {
  assert.deepEqual(take(SEED, 20), take(SEED, 20))
  assert.notDeepEqual(take(SEED, 20), take(SEED + 1, 20))
})

test('a freeze outlasts a lease', () => {
  for (const { fault } of take(SEED, 14)) if (fault.kind === 'freeze') assert.ok(fault.forMs > 2000)
})
