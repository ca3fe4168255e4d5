import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { parseTraceparent, formatTraceparent } from './traceparent.ts'
import { createTraceSource } from './trace-source.ts'

test('the word of a parent counts, whatever the ratio', () => {
  for (const ratio of [0, 0.5, 1]) {
    const source = createTraceSource(ratio)
    assert.equal(source.shouldTrace(true), true)
    assert.equal(source.shouldTrace(false), false)
  }
})

test('without a parent the ratio decides; 0 is never and 1 always', () => {
  const random = seededRandom(testSeed(7))
  const shareOf = (ratio: number): number => {
    const source = createTraceSource(ratio, () => random.next())
    let traced = 0
    for (let index = 0; index < 2000; index += 1) traced += source.shouldTrace(null) ? 1 : 0
    return traced / 2000
  }
  assert.equal(shareOf(0), 0)
  assert.equal(shareOf(1), 1)
  assert.ok(Math.abs(shareOf(0.25) - 0.25) < 0.05, `seed ${random.seed}`)
})

test('ids are of W3C form and differ', () => {
  const source = createTraceSource(1)
  const seen = new Set<string>()
  for (let index = 0; index < 100; index += 1) {
    const context = { traceId: source.newTraceId(), spanId: source.newSpanId() }
    assert.deepEqual(parseTraceparent(formatTraceparent(context)), { ...context, sampled: true })
    seen.add(context.traceId).add(context.spanId)
  }
  assert.equal(seen.size, 200)
})
