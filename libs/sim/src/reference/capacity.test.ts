import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bisectCapacity, DISTSERVE_SEARCH } from './capacity.ts'

test('the search halves its bracket as the original does, and returns a rate that passed', () => {
  const tried: number[] = []
  const rate = bisectCapacity((value) => {
    tried.push(value)
    return value < 1.6
  }, DISTSERVE_SEARCH)
  assert.deepEqual(tried, [2.5, 1.25, 1.875, 1.5625, 1.71875])
  assert.equal(rate, 1.5625)
})

test('a rate that nothing reaches is 0, one without end is a tolerance below the ceiling at most', () => {
  assert.equal(bisectCapacity(() => false, DISTSERVE_SEARCH), 0)
  const endless = bisectCapacity(() => true, { maxRate: 8, tolerance: 0.5 })
  assert.ok(endless < 8 && endless >= 7.5)
})
