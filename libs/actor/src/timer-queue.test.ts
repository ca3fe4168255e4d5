import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { TimerQueue } from './timer-queue.ts'

test('entries leave in order of due time, then of scheduling; cancelled ones never do', () => {
  const seed = testSeed(31)
  const random = seededRandom(seed)
  const queue = new TimerQueue()
  let waiting: { readonly dueMs: number; readonly order: number; readonly cancel: () => void }[] = []
  let order = 0
  for (let step = 0; step < 20_000; step++) {
    const roll = random.next()
    if (roll < 0.5) {
      order += 1
      const dueMs = random.int(50)
      waiting.push({ dueMs, order, cancel: queue.push(dueMs, () => {}) })
    } else if (roll < 0.8 && waiting.length > 0) {
      const victim = random.pick(waiting)
      victim.cancel()
      victim.cancel()
      waiting = waiting.filter((one) => one !== victim)
    } else {
      const expected = [...waiting].sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0]
      const left = queue.pop()
      assert.deepEqual([left?.dueMs, left?.sequence], [expected?.dueMs, expected?.order], `seed ${seed}, step ${step}`)
      waiting = waiting.filter((one) => one !== expected)
      expected?.cancel()
    }
    assert.equal(queue.size, waiting.length, `seed ${seed}, step ${step}`)
  }
})
