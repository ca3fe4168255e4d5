import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { DeadlineHeap } from './deadlines.ts'
import type { Deadline } from './deadlines.ts'
import { Histogram } from './histogram.ts'
import { WaitingLine } from './waiting-line.ts'

test('the deadline heap yields the earliest entry under any sequence of sets and removals', () => {
  const seed = testSeed(3)
  const random = seededRandom(seed)
  const heap = new DeadlineHeap<Deadline>()
  const entries: Deadline[] = Array.from({ length: 40 }, () => ({ checkAtMs: 0, heapIndex: null }))
  const inside = new Set<Deadline>()
  for (let step = 0; step < 5000; step += 1) {
    const entry = random.pick(entries)
    if (random.int(3) === 0) {
      heap.remove(entry)
      inside.delete(entry)
    } else {
      heap.set(entry, random.int(1000))
      inside.add(entry)
    }
    heap.assertIntegrity()
    assert.equal(heap.size, inside.size)
    assert.equal(heap.peek()?.checkAtMs ?? -1, inside.size === 0 ? -1 : Math.min(...[...inside].map(({ checkAtMs }) => checkAtMs)), `seed ${seed}, step ${step}`)
  }
})

test('the line keeps priority, then arrival', () => {
  const seed = testSeed(5)
  const random = seededRandom(seed)
  const line = new WaitingLine<{ priority: number; arrival: number }>()
  const items = Array.from({ length: 50 }, (_, arrival) => ({ priority: random.int(4) - 2, arrival }))
  for (const item of items) line.push(item)
  const removed = items.splice(10, 3)
  assert.deepEqual([...removed, removed[0]!].map((item) => line.remove(item)), [true, true, true, false])
  const expected = [...items].sort((a, b) => a.priority - b.priority || a.arrival - b.arrival)
  assert.deepEqual(Array.from({ length: 48 }, () => line.shift()), [...expected, undefined], `seed ${seed}`)
})

test('a value on a bound falls into that bucket, one past the last into the overflow', () => {
  const histogram = new Histogram([1, 2, 5])
  histogram.observe(1)
  histogram.observe(1.5, 3)
  histogram.observe(6)
  assert.deepEqual(histogram.snapshot(), { buckets: [1, 2, 5], counts: [1, 3, 0, 1], sum: 11.5 })
})
