import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateMessage, seededRandom, testSeed } from '@rubato/testing'
import type { GenerateOptions } from '@rubato/testing'
import { compareRequests, InstanceRequest } from './request.ts'
import { WaitingQueue } from './waiting-queue.ts'

function request(arrivalOrder: number, fields: GenerateOptions = {}): InstanceRequest {
  return new InstanceRequest(generateMessage(`r${arrivalOrder}`, fields), { replyTo: 'router/r1', arrivalOrder, nowMs: 0 })
}

test('recovered requests go first, then priority, then arrival', () => {
  const queue = new WaitingQueue()
  const [late, early, important, recovered] = [request(3), request(1), request(4, { priority: -1 }), request(5, { priority: 9, recovered: true })]
  for (const item of [late!, early!, important!, recovered!]) queue.add(item)
  assert.deepEqual([...queue], [recovered, important, early, late])
  assert.equal(queue.at(0), recovered)
  assert.equal(queue.at(4), undefined)
})

test('removal finds exactly the request given', () => {
  const queue = new WaitingQueue()
  const [first, second] = [request(1), request(2)]
  queue.add(first)
  assert.equal(queue.remove(second), false)
  queue.add(second)
  assert.equal(queue.remove(first), true)
  assert.equal(queue.remove(first), false)
  assert.deepEqual([...queue], [second])
})

test('any mix of additions and removals stays sorted', () => {
  const seed = testSeed(5)
  const random = seededRandom(seed)
  const queue = new WaitingQueue()
  let expected: InstanceRequest[] = []
  for (let arrival = 0; arrival < 500; arrival++) {
    const added = request(arrival, { priority: random.int(4), recovered: random.next() < 0.1 })
    queue.add(added)
    expected.push(added)
    if (random.next() < 0.5) {
      const removed = random.pick(expected)
      assert.equal(queue.remove(removed), true)
      expected = expected.filter((item) => item !== removed)
    }
    expected.sort(compareRequests)
    assert.deepEqual([...queue].map(({ arrivalOrder }) => arrivalOrder), expected.map(({ arrivalOrder }) => arrivalOrder), `seed ${seed}`)
  }
})
