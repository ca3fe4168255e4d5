import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantile } from './quantile.ts'

test('quantiles lie between the two nearest values, as pandas has them', () => {
  assert.equal(quantile([4, 1, 3, 2], 0), 1)
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5)
  assert.equal(quantile([4, 1, 3, 2], 1), 4)
  assert.ok(Math.abs(quantile([0, 10, 20, 30], 0.9) - 27) < 1e-12)
  assert.equal(quantile([7], 0.99), 7)
  assert.throws(() => quantile([], 0.5), { code: 'no_values' })
})
