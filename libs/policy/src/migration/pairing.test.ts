import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { pairInstances } from './pairing.ts'
import type { MigrationInstance, MigrationPair } from './snapshot.ts'

/** Freeness follows from free blocks and running requests unless it is given. */
function instance(instanceId: string, freeBlocks: number, numRunning: number, changes: Partial<MigrationInstance> = {}): MigrationInstance {
  return {
    instanceId, modelFingerprint: 'm', role: 'mixed', isDraining: false, canShip: true, freenessBlocks: freeBlocks / Math.max(1, numRunning), numRunning, numWaiting: 0,
    contextBlocks: numRunning * 20, preemptedAgoMs: null, ...changes,
  }
}

const pairsOf = (instances: readonly MigrationInstance[], standing: readonly MigrationPair[] = []): string[] =>
  pairInstances(instances, standing).map(({ sourceId, destinationId, reason }) => `${sourceId} > ${destinationId}: ${reason}`)

test('the fullest below the low threshold gives to the freest above the high one', () => {
  // Freeness 2, 5, 20, 100 and 200; 20 blocks a request.
  const fleet = [instance('a', 20, 10), instance('b', 40, 8), instance('c', 80, 4), instance('d', 400, 4), instance('e', 400, 2)]
  assert.deepEqual(pairsOf(fleet), ['a > e: balance', 'b > d: balance'])
})

test('between the thresholds nobody gives and nobody takes', () => {
  assert.deepEqual(pairsOf([instance('a', 100, 8), instance('b', 400, 2)]), [])
  assert.deepEqual(pairsOf([instance('a', 20, 10), instance('b', 100, 4)]), [])
})

test('a standing pair is kept within wider thresholds, and no further', () => {
  const standing = [{ sourceId: 'a', destinationId: 'b', reason: 'balance' }] as const
  // Freeness 12.5 and 160: not a pair of its own.
  const fleet = [instance('a', 100, 8), instance('b', 320, 2)]
  assert.deepEqual([pairsOf(fleet), pairsOf(fleet, standing)], [[], ['a > b: balance']])
  assert.deepEqual(pairsOf([instance('a', 128, 8), instance('b', 320, 2)], standing), [])
  // A destination at 28 is kept, one at 24 is not.
  assert.deepEqual(pairsOf([instance('a', 10, 10), instance('b', 28 * 12, 12)], standing), ['a > b: balance'])
  assert.deepEqual(pairsOf([instance('a', 10, 10), instance('b', 24 * 12, 12)], standing), [])
})

test('a move must narrow the gap and not turn it round', () => {
  // One request of 20 blocks: without it a would have all 28 blocks for none: (8 + 20) / 1 against (62 - 20) / 3 = 14.
  assert.deepEqual(pairsOf([instance('a', 8, 1), instance('b', 62, 2)]), [])
  // Two: (8 + 20) / 1 = 28 against (160 - 20) / 3 = 47.
  assert.deepEqual(pairsOf([instance('a', 8, 2), instance('b', 160, 2)]), ['a > b: balance'])
})

test('a draining instance gives to whoever stays free, first of all', () => {
  const drained = instance('z', 400, 1, { isDraining: true })
  assert.deepEqual(pairsOf([instance('a', 20, 10), drained, instance('b', 400, 4)]), ['z > b: drain'])
  assert.deepEqual(pairsOf([drained, instance('b', 40, 2)]), [])
  assert.deepEqual(pairsOf([instance('a', 20, 10), { ...drained, numRunning: 0 }]), [], 'it never takes')
})

test('the head of the line that does not fit is made room for, though others are no freer by it', () => {
  const blocked = instance('a', 0, 1, { freenessBlocks: -60, numWaiting: 1, contextBlocks: 40 })
  assert.deepEqual(pairsOf([blocked, instance('b', 100, 1)]), ['a > b: admit'])
})

test('whoever preempted lately takes nothing, and gives a little earlier', () => {
  assert.deepEqual(pairsOf([instance('a', 20, 10), instance('b', 400, 2, { preemptedAgoMs: 9_000 })]), [])
  assert.deepEqual(pairsOf([instance('a', 20, 10), instance('b', 400, 2, { preemptedAgoMs: 11_000 })]), ['a > b: balance'])
  assert.deepEqual(pairsOf([instance('a', 120, 10, { preemptedAgoMs: 100 }), instance('b', 400, 2)]), ['a > b: balance'])
})

test('other models and instances without a link are no partners; prefill instances take tokens only from one that had to preempt', () => {
  const source = instance('a', 20, 10)
  assert.deepEqual(pairsOf([source, instance('b', 400, 2, { modelFingerprint: 'x' }), instance('c', 400, 2, { canShip: false })]), [])
  assert.deepEqual(pairsOf([source, instance('p', 800, 2, { role: 'prefill' }), instance('d', 400, 2)]), ['a > d: balance'])
  assert.deepEqual(pairsOf([source, instance('p', 800, 2, { role: 'prefill' })]), [])
  assert.deepEqual(pairsOf([{ ...source, preemptedAgoMs: 20_000 }, instance('p', 800, 2, { role: 'prefill' })]), ['a > p: balance'])
})

test('in a steady load every fleet comes to rest, and no request goes back and forth', () => {
  const seed = testSeed(17)
  const random = seededRandom(seed)
  for (let round = 0; round < 200; round++) {
    const fleet = Array.from({ length: 2 + random.int(6) }, (_, index) => ({ id: `i${index}`, requests: Array.from({ length: random.int(12) }, () => 5 + random.int(60)) }))
    const totalBlocks = 300 + random.int(600)
    let standing: readonly MigrationPair[] = []
    let numMoves = 0
    for (let look = 0; look < 400; look++) {
      const views = fleet.map(({ id, requests }) => {
        const used = requests.reduce((sum, blocks) => sum + blocks, 0)
        return instance(id, totalBlocks - used, requests.length, { contextBlocks: used })
      })
      const pairs = pairInstances(views, standing)
      const inPairs = pairs.flatMap(({ sourceId, destinationId }) => [sourceId, destinationId])
      assert.equal(new Set(inPairs).size, inPairs.length, `seed ${seed}: an instance is in two pairs`)
      standing = pairs
      for (const { sourceId, destinationId } of pairs) {
        const from = fleet.find(({ id }) => id === sourceId)!
        const shortest = Math.min(...from.requests)
        from.requests.splice(from.requests.indexOf(shortest), 1)
        fleet.find(({ id }) => id === destinationId)!.requests.push(shortest)
        numMoves++
      }
      if (look > 300) assert.equal(pairs.length, 0, `seed ${seed}, fleet ${round}: still moving after ${look} looks`)
    }
    assert.ok(numMoves <= 100, `seed ${seed}: ${numMoves} moves`)
  }
})
