import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomStream } from '@rubato/sim'
import { median } from '../statistics.ts'
import { ratioOverRounds } from './round-bootstrap.ts'
import type { RoundPair } from './round-bootstrap.ts'

test('the ratio is that of all values together, and rounds that agree leave no doubt', () => {
  const rounds: RoundPair[] = [[[2, 4, 6], [1, 2, 3]], [[6, 4, 2], [3, 2, 1]]]
  assert.deepEqual(ratioOverRounds(rounds, median, randomStream(1, 'draws')), { ratio: 2, low: 2, high: 2 })
})

test('a round is drawn with both its sides: a slow moment that hit both does not widen the interval', () => {
  const rounds: RoundPair[] = [1, 10, 100].map((slowness) => [[3 * slowness], [2 * slowness]])
  const { low, high } = ratioOverRounds(rounds, (values) => values.reduce((sum, value) => sum + value, 0), randomStream(2, 'draws'))
  assert.ok(Math.abs(low - 1.5) < 1e-12 && Math.abs(high - 1.5) < 1e-12)
})

test('rounds that disagree widen it', () => {
  const rounds: RoundPair[] = [[[1], [1]], [[2], [1]], [[3], [1]]]
  const { low, ratio, high } = ratioOverRounds(rounds, median, randomStream(3, 'draws'))
  assert.deepEqual([low, ratio, high], [1, 2, 3])
  assert.throws(() => ratioOverRounds([], median, randomStream(3, 'draws')), RangeError)
})
