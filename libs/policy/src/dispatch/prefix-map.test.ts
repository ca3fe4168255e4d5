import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { PrefixMap } from './prefix-map.ts'

function overlapOf(map: PrefixMap, tokenIds: readonly number[], cacheSalt = ''): Record<string, number> {
  return Object.fromEntries(map.overlap(tokenIds, cacheSalt))
}

test('overlap is the longest common prefix in whole chunks, per instance', () => {
  const map = new PrefixMap({ chunkTokens: 2, maxEntries: 100 })
  map.record('a', [1, 2, 3, 4, 5, 6], '')
  map.record('b', [1, 2, 9, 9], '')
  assert.deepEqual(overlapOf(map, [1, 2, 3, 4, 5, 7]), { a: 4, b: 2 })
  assert.deepEqual(overlapOf(map, [1, 2, 3, 4, 5, 6, 7, 8]), { a: 6, b: 2 })
  assert.deepEqual(overlapOf(map, [1]), {})
  assert.deepEqual(overlapOf(map, [2, 1, 3, 4]), {})
  assert.equal(map.size, 4)
})

test('a chunk counts only behind the same prefix', () => {
  const map = new PrefixMap({ chunkTokens: 2, maxEntries: 100 })
  map.record('a', [1, 2, 3, 4], '')
  map.record('b', [7, 8, 3, 4], '')
  assert.deepEqual(overlapOf(map, [1, 2, 3, 4]), { a: 4 })
})

test('cache salts do not see each other', () => {
  const map = new PrefixMap({ chunkTokens: 2, maxEntries: 100 })
  map.record('a', [1, 2, 3, 4], 'tenant-1')
  assert.deepEqual(overlapOf(map, [1, 2, 3, 4], 'tenant-2'), {})
  assert.deepEqual(overlapOf(map, [1, 2, 3, 4], 'tenant-1'), { a: 4 })
})

test('what is full forgets the least recently recorded, and ends of prompts before their beginnings', () => {
  const map = new PrefixMap({ chunkTokens: 1, maxEntries: 4 })
  map.record('a', [1, 2], '')
  map.record('a', [8, 9], '')
  map.record('a', [1, 2], '')
  map.record('a', [5], '')
  assert.deepEqual(overlapOf(map, [8, 9]), { a: 1 })
  assert.deepEqual(overlapOf(map, [1, 2]), { a: 2 })
  map.record('b', [20, 21, 22, 23, 24, 25], '')
  assert.deepEqual(overlapOf(map, [20, 21, 22, 23, 24, 25]), { b: 4 })
  assert.equal(map.size, 4)
})

test('a forgotten instance leaves nothing behind, others stay', () => {
  const map = new PrefixMap({ chunkTokens: 2, maxEntries: 100 })
  map.record('a', [1, 2, 3, 4], '')
  map.record('b', [1, 2], '')
  map.forget('a')
  assert.deepEqual(overlapOf(map, [1, 2, 3, 4]), { b: 2 })
  assert.equal(map.size, 1)
  map.forget('b')
  assert.equal(map.size, 0)
})

test('options must be positive integers', () => {
  assert.throws(() => new PrefixMap({ chunkTokens: 0, maxEntries: 1 }), RangeError)
  assert.throws(() => new PrefixMap({ chunkTokens: 1, maxEntries: 1.5 }), RangeError)
})

test('without eviction it agrees with a plain comparison of prompts', () => {
  const seed = testSeed(5)
  const random = seededRandom(seed)
  for (let round = 0; round < 30; round += 1) {
    const chunkTokens = 1 + random.int(4)
    const map = new PrefixMap({ chunkTokens, maxEntries: 10_000 })
    const recorded: { instanceId: string; tokenIds: number[] }[] = []
    for (let index = 0; index < 40; index += 1) {
      const entry = { instanceId: `instance-${random.int(4)}`, tokenIds: Array.from({ length: random.int(12) }, () => random.int(2)) }
      recorded.push(entry)
      map.record(entry.instanceId, entry.tokenIds, '')
    }
    const probe = Array.from({ length: 12 }, () => random.int(2))
    const expected: Record<string, number> = {}
    for (const { instanceId, tokenIds } of recorded) {
      const differsAt = probe.findIndex((token, index) => tokenIds[index] !== token)
      const common = differsAt < 0 ? probe.length : differsAt
      const hitTokens = Math.floor(common / chunkTokens) * chunkTokens
      if (hitTokens > (expected[instanceId] ?? 0)) expected[instanceId] = hitTokens
    }
    assert.deepEqual(overlapOf(map, probe), expected, `seed ${seed} round ${round}`)
  }
})

test('keys of 200,000 different chunks do not collide', () => {
  const map = new PrefixMap({ chunkTokens: 2, maxEntries: 1_000_000 })
  for (let index = 0; index < 200_000; index += 1) map.record('a', [index % 500, Math.floor(index / 500)], '')
  assert.equal(map.size, 200_000)
})
