import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idsOf, instanceOf, requestOf } from '../fixtures/cluster.ts'
import { dispatchPolicy } from '../policies.ts'
import type { DispatchInstance, DispatchRequest, Placement } from '../snapshot.ts'

function chosen(name: string, instances: readonly DispatchInstance[], request: Partial<DispatchRequest> = {}, placement: Placement = 'auto'): readonly string[] {
  return idsOf(dispatchPolicy(name, { placement })(requestOf(request), instances))
}

test('jsq: a live sequence weighs as much as 128 prompt tokens', () => {
  // 1,000 against 500 + 3 * 128 = 884 against 9 * 128 = 1,152.
  const instances = [
    instanceOf('a', { pendingPrefillTokens: 1_000 }), instanceOf('b', { pendingPrefillTokens: 500, numSequences: 3 }), instanceOf('c', { numSequences: 9 }),
  ]
  assert.deepEqual(chosen('jsq', instances), ['b'])
})

test('jsq: an instance about to preempt is taken only when all are', () => {
  const scarce = instanceOf('a', { availableBlocks: 39 })
  assert.deepEqual(chosen('jsq', [scarce, instanceOf('b', { numSequences: 50 })], { promptTokens: 16 }), ['b'])
  assert.deepEqual(chosen('jsq', [scarce, instanceOf('b', { numSequences: 50, availableBlocks: 0 })], { promptTokens: 16 }), ['a'])
})

test('freeness: the highest, and the least bad when all are negative', () => {
  const instances = [instanceOf('a', { freenessBlocks: 20 }), instanceOf('b', { freenessBlocks: 30 }), instanceOf('c', { freenessBlocks: -5 })]
  assert.deepEqual(chosen('freeness', instances), ['b'])
  assert.deepEqual(chosen('freeness', [instanceOf('a', { freenessBlocks: -8 }), instanceOf('c', { freenessBlocks: -5 })]), ['c'])
})

test('kv-aware: the longest usable prefix, then the least work', () => {
  const warm = instanceOf('a', { hitTokens: 384, numSequences: 5 })
  assert.deepEqual(chosen('kv-aware', [warm, instanceOf('b', { hitTokens: 256 }), instanceOf('c')]), ['a'])
  // 300 and 256 tokens save the same two cells.
  assert.deepEqual(chosen('kv-aware', [instanceOf('a', { hitTokens: 300, numSequences: 5 }), instanceOf('b', { hitTokens: 256 })]), ['b'])
})

test('kv-aware: never onto an overloaded instance, whatever it holds', () => {
  // 20 * 128 = 2,560 tokens of work against 0; 15 * 128 = 1,920 is still within 2,048 of it.
  assert.deepEqual(chosen('kv-aware', [instanceOf('a', { hitTokens: 384, numSequences: 20 }), instanceOf('b')]), ['b'])
  assert.deepEqual(chosen('kv-aware', [instanceOf('a', { hitTokens: 384, numSequences: 15 }), instanceOf('b')]), ['a'])
  assert.deepEqual(chosen('kv-aware', [instanceOf('a', { hitTokens: 384, freenessBlocks: 1 }), instanceOf('b')]), ['b'])
  // 60 sequences beside 50 are busy, not overloaded.
  assert.deepEqual(chosen('kv-aware', [instanceOf('a', { hitTokens: 384, numSequences: 60 }), instanceOf('b', { numSequences: 50 })]), ['a'])
})

test('round-robin: in turn over ids in order', () => {
  const instances = [instanceOf('c'), instanceOf('a'), instanceOf('b', { numSequences: 50 })]
  assert.deepEqual([0, 1, 2, 3].map((ordinal) => chosen('round-robin', instances, { ordinal })[0]), ['a', 'b', 'c', 'a'])
})

test('each baseline makes its choice for both duties of a pair', () => {
  const instances = [
    instanceOf('p1', { role: 'prefill', pendingPrefillTokens: 5_000, freenessBlocks: 5 }), instanceOf('p2', { role: 'prefill' }),
    instanceOf('d1', { role: 'decode', numSequences: 20, freenessBlocks: 10 }), instanceOf('d2', { role: 'decode', numSequences: 3 }),
  ]
  for (const name of ['jsq', 'freeness', 'kv-aware']) assert.deepEqual(chosen(name, instances, { promptTokens: 2_048 }, 'disaggregated'), ['p2', 'd2'], name)
  assert.deepEqual(chosen('round-robin', instances, { ordinal: 1 }, 'disaggregated'), ['p2', 'd2'])
  assert.deepEqual(chosen('jsq', instances, { promptTokens: 2_048 }), ['p2', 'd2'])
})

test('mixed instances are paired only on demand, and one of them is never its own partner', () => {
  const instances = [instanceOf('a'), instanceOf('b')]
  for (const name of ['jsq', 'freeness', 'kv-aware', 'round-robin']) {
    assert.equal(chosen(name, instances, { promptTokens: 2_048 }).length, 1, name)
    assert.equal(new Set(chosen(name, instances, {}, 'disaggregated')).size, 2, name)
    assert.equal(chosen(name, [instanceOf('a')], {}, 'disaggregated').length, 1, name)
    assert.deepEqual(chosen(name, [instanceOf('m'), instanceOf('p', { role: 'prefill' })], {}, 'disaggregated'), ['p', 'm'], name)
    assert.deepEqual(chosen(name, [instanceOf('m'), instanceOf('d', { role: 'decode' })], {}, 'disaggregated'), ['m', 'd'], name)
  }
})
