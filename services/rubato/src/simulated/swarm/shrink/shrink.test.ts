import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { reduce } from './shrink.ts'

test('exactly what is needed for the failure is left', () => {
  const random = seededRandom(testSeed(5))
  for (let round = 0; round < 50; round++) {
    const items = Array.from({ length: 1 + random.int(60) }, (_, index) => index)
    const needed = items.filter(() => random.next() < 0.1)
    const left = reduce(items, () => true, (candidate) => needed.every((item) => candidate.includes(item)))
    assert.deepEqual(left, needed, `seed ${random.seed}, round ${round}`)
  }
})

test('out of time, what is left still fails', () => {
  let numReplays = 0
  const left = reduce([1, 2, 3, 4, 5, 6, 7, 8], () => numReplays < 3, (candidate) => {
    numReplays += 1
    return candidate.includes(6)
  })
  assert.ok(left.includes(6) && left.length < 8, `${left.join(' ')} after ${numReplays} replays`)
})
