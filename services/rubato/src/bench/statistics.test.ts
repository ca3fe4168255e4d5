import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { exceeds, mean, median, percentile, ratioOfMedians, standardDeviation } from './statistics.ts'

test('the median is the middle value, or the mean of the middle two', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(median([7]), 7)
  assert.throws(() => median([]), RangeError)
})

test('percentiles lie between neighbours, as numpy has them', () => {
  const sorted = [1, 2, 3, 4, 10]
  assert.deepEqual([0, 25, 50, 87.5, 100].map((percent) => percentile(sorted, percent)), [1, 2, 3, 7, 10])
  assert.ok(Math.abs((percentile(sorted, 99) ?? 0) - 9.76) < 1e-9)
  assert.equal(percentile([7], 99), 7)
  assert.equal(percentile([], 50), null)
  assert.equal(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9]), 2)
  assert.deepEqual([mean([]), standardDeviation([])], [null, null])
})

test('pairs without spread give an interval of one point', () => {
  const pairs = Array.from({ length: 30 }, () => [12, 10] as const)
  assert.deepEqual(ratioOfMedians(pairs, { random: seededRandom(1) }), { ratio: 1.2, low: 1.2, high: 1.2 })
})

test('the ratio is that of the medians: an outlier on one side does not move it', () => {
  const pairs = [[10, 10], [11, 10], [12, 10], [13, 10], [500, 10]] as const
  const { ratio, low, high } = ratioOfMedians(pairs, { random: seededRandom(2) })
  assert.equal(ratio, 1.2)
  assert.ok(low >= 1 && low <= 1.2 && high >= 1.2)
})

test('about 95 of 100 intervals hold the true ratio', () => {
  const seed = testSeed(5)
  const random = seededRandom(seed)
  let numHeld = 0
  for (let round = 0; round < 100; round++) {
    const pairs = Array.from({ length: 40 }, () => [1.3 * (10 + random.normal()), 10 + random.normal()] as const)
    const { low, high } = ratioOfMedians(pairs, { random, numResamples: 300 })
    if (low <= 1.3 && high >= 1.3) numHeld++
  }
  assert.ok(numHeld >= 85, `seed ${seed}: ${numHeld} of 100`)
})

test('a limit is exceeded only when the whole interval lies past it', () => {
  assert.equal(exceeds({ ratio: 1.2, low: 1.11, high: 1.3 }, 1.1), true)
  assert.equal(exceeds({ ratio: 1.2, low: 1.09, high: 1.3 }, 1.1), false)
})
