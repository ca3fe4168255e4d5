import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { decodeHeadroomBlocks, freenessBlocks, virtualUsageBlocks } from './freeness.ts'
import type { FreenessLoad } from './freeness.ts'

function loadOf(changes: Partial<FreenessLoad>): FreenessLoad {
  return { totalBlocks: 100, usedBlocks: 0, numRunning: 0, headOfLineBlocks: 0, numHighPriority: 0, headroomBlocks: 0, ...changes }
}

test('running requests: free blocks per request', () => {
  // (100 - 60) / 4 = 10.
  assert.equal(freenessBlocks(loadOf({ usedBlocks: 60, numRunning: 4 })), 10)
})

test('an empty instance has all of its blocks', () => {
  assert.equal(freenessBlocks(loadOf({})), 100)
})

test('only the head of the queue counts, and can make freeness negative', () => {
  // (100 - 60 - 56) / 4 = -4: 40 blocks are free, but not for what waits.
  assert.equal(freenessBlocks(loadOf({ usedBlocks: 60, numRunning: 4, headOfLineBlocks: 56 })), -4)
  assert.equal(freenessBlocks(loadOf({ headOfLineBlocks: 30 })), 70)
})

test('headroom is shared by high-priority requests, not multiplied', () => {
  // One or three of them: (100 - 60 - 20) / 4 = 5.
  for (const numHighPriority of [1, 3]) assert.equal(freenessBlocks(loadOf({ usedBlocks: 60, numRunning: 4, numHighPriority, headroomBlocks: 20 })), 5)
  assert.equal(virtualUsageBlocks(loadOf({ usedBlocks: 60, numRunning: 4, headroomBlocks: 20 })), 60)
})

test('headroom is capacity less the context at which decode keeps its ideal speed', () => {
  const model = {
    decode: { fixedMs: 7.6, perSequenceMs: 0.4, perNodeMs: 0, perContextTokenMs: 0.002 }, cell: { fixedMs: 0, perTokenMs: 1, perPairMs: 0 }, correctionRatio: 1,
  }
  // A quarter of 8 ms buys 2 / 0.002 = 1,000 tokens: 63 blocks of 16.
  assert.equal(decodeHeadroomBlocks(model, { totalBlocks: 851, blockSize: 16 }), 788)
  assert.equal(decodeHeadroomBlocks(model, { totalBlocks: 50, blockSize: 16 }), 0)
  assert.equal(decodeHeadroomBlocks(null, { totalBlocks: 851, blockSize: 16 }), 0)
})

test('freeness is finite and falls with every kind of demand', () => {
  const seed = testSeed(3)
  const random = seededRandom(seed)
  for (let round = 0; round < 500; round += 1) {
    const load = loadOf({
      totalBlocks: 1 + random.int(500), usedBlocks: random.int(500), numRunning: random.int(20), headOfLineBlocks: random.int(50),
      numHighPriority: random.int(3), headroomBlocks: random.int(100),
    })
    const before = freenessBlocks(load)
    assert.ok(Number.isFinite(before), `seed ${seed}`)
    for (const more of [{ usedBlocks: load.usedBlocks + 1 }, { headOfLineBlocks: load.headOfLineBlocks + 1 }]) assert.ok(freenessBlocks({ ...load, ...more }) < before, `seed ${seed}`)
    assert.ok(freenessBlocks({ ...load, numHighPriority: load.numHighPriority + 1 }) <= before, `seed ${seed}`)
  }
})
