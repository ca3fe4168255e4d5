import assert from 'node:assert/strict'
import test from 'node:test'
import { plainParams } from './reference/naive-sampler.ts'
import { finishAfter, stopIdsOf } from './stopping.ts'

const ROOM = { promptTokens: 10, emittedTokens: 3, maxModelLen: 100 }

void test('stop ids are the request\'s own and, unless ignored, the model\'s', () => {
  const params = plainParams({ stopTokenIds: [7, 2] })
  assert.deepEqual(stopIdsOf(params, [1, 2]).toSorted((a, b) => a - b), [1, 2, 7])
  assert.deepEqual(stopIdsOf({ ...params, ignoreEos: true }, [1, 2]).toSorted((a, b) => a - b), [2, 7])
})

void test('a stop id stops, and wins over a length reached at once', () => {
  assert.deepEqual(finishAfter(7, [1, 7], 100, ROOM), { kind: 'stop', stopTokenId: 7 })
  assert.deepEqual(finishAfter(7, [7], 3, ROOM), { kind: 'stop', stopTokenId: 7 })
  assert.equal(finishAfter(8, [7], 100, ROOM), null)
})

void test('length ends at max_tokens and at the context limit', () => {
  assert.equal(finishAfter(8, [7], 4, ROOM), null)
  assert.deepEqual(finishAfter(8, [7], 3, ROOM), { kind: 'length' })
  assert.deepEqual(finishAfter(8, [7], 100, { ...ROOM, maxModelLen: 13 }), { kind: 'length' })
  assert.equal(finishAfter(8, [7], 100, { ...ROOM, maxModelLen: 14 }), null)
})
