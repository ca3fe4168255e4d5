import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cellSizes, usableHitTokens } from './cells.ts'

test('a prompt is cut at multiples of C', () => {
  assert.deepEqual(cellSizes(0, 300, 128), [128, 128, 44])
  assert.deepEqual(cellSizes(128, 256, 128), [128])
  assert.deepEqual(cellSizes(256, 256, 128), [])
})

test('a prefix hit is rounded down to whole cells and leaves the last token to compute', () => {
  assert.equal(usableHitTokens(192, 300, 128), 128)
  assert.equal(usableHitTokens(256, 300, 128), 256)
  assert.equal(usableHitTokens(256, 257, 128), 256)
  assert.equal(usableHitTokens(256, 256, 128), 128)
  assert.equal(usableHitTokens(64, 1, 128), 0)
})
