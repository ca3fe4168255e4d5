import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { hashChain } from './block-hash.ts'
import { BlockPool } from './block-pool.ts'
import { BlockTable, blocksFor } from './block-table.ts'

const hashBlock = (parent: string, tokenIds: readonly number[]): string => `${parent}/${tokenIds.join(',')}`

function take(pool: BlockPool, count: number): readonly number[] {
  const allocation = pool.allocate(count)
  assert.equal(allocation.kind, 'allocated')
  return allocation.kind === 'allocated' ? allocation.blockIds : []
}

/** Allocates one block per hash and indexes it as a chain below `root`. */
function cacheChain(pool: BlockPool, hashes: readonly string[]): readonly number[] {
  const blockIds = take(pool, hashes.length)
  hashes.forEach((hash, place) => pool.insert(hash, place === 0 ? 'root' : hashes[place - 1]!, blockIds[place]!))
  return blockIds
}

test('allocation gives distinct blocks, all or none', () => {
  const pool = new BlockPool(4, { enablePrefixCache: true })
  const held = take(pool, 3)
  assert.equal(new Set(held).size, 3)
  assert.deepEqual(pool.allocate(2), { kind: 'rejected', reason: 'no_blocks' })
  assert.equal(pool.freeBlocks, 1)
  pool.assertIntegrity([held])
})

test('a shared block is freed by its last holder', () => {
  const pool = new BlockPool(2, { enablePrefixCache: true })
  const held = take(pool, 1)
  pool.share(held)
  pool.release(held)
  assert.equal(pool.freeBlocks, 1)
  pool.assertIntegrity([held])
  pool.release(held)
  assert.equal(pool.freeBlocks, 2)
  assert.throws(() => pool.release(held), /not owned/)
  assert.throws(() => pool.share(held), /is free/)
})

test('a released indexed block stays cached and is found again', () => {
  const pool = new BlockPool(4, { enablePrefixCache: true })
  const held = cacheChain(pool, ['a', 'b'])
  pool.release(held)
  assert.equal(pool.cachedBlocks, 2)
  assert.equal(pool.availableBlocks, 4)
  assert.deepEqual(pool.matchPrefix(['a', 'b', 'c']), held)
  assert.deepEqual(pool.matchPrefix(['x', 'b']), [])
  pool.share(pool.matchPrefix(['a']))
  assert.equal(pool.cachedBlocks, 1)
  pool.assertIntegrity([[held[0]!]])
})

test('without a prefix cache nothing is indexed', () => {
  const pool = new BlockPool(2, { enablePrefixCache: false })
  const held = take(pool, 1)
  assert.equal(pool.insert('a', 'root', held[0]!), false)
  pool.release(held)
  assert.equal(pool.freeBlocks, 2)
  assert.deepEqual(pool.matchPrefix(['a']), [])
})

test('a hash keeps its first block', () => {
  const pool = new BlockPool(4, { enablePrefixCache: true })
  const [first, second] = take(pool, 2)
  assert.equal(pool.insert('a', 'root', first!), true)
  assert.equal(pool.insert('a', 'root', second!), false)
  assert.deepEqual(pool.matchPrefix(['a']), [first])
  pool.release([second!])
  assert.equal(pool.cachedBlocks, 0)
  pool.assertIntegrity([[first!]])
})

test('free blocks go first, then the least recently used chain from its end', () => {
  const pool = new BlockPool(5, { enablePrefixCache: true })
  const older = cacheChain(pool, ['a', 'b'])
  const newer = cacheChain(pool, ['x', 'y'])
  pool.release(older)
  pool.release(newer)
  const held = [...take(pool, 1)]
  assert.equal(pool.cachedBlocks, 4)
  for (const expected of [older[1], older[0], newer[1], newer[0]]) {
    const [blockId] = take(pool, 1)
    assert.equal(blockId, expected)
    held.push(blockId!)
  }
  pool.assertIntegrity([held])
})

test('using a prefix again protects it from eviction', () => {
  const pool = new BlockPool(4, { enablePrefixCache: true })
  const first = cacheChain(pool, ['a', 'b'])
  const second = cacheChain(pool, ['x', 'y'])
  pool.release(first)
  pool.release(second)
  pool.share(first)
  pool.release(first)
  take(pool, 2)
  assert.deepEqual(pool.matchPrefix(['a', 'b']), first)
  assert.deepEqual(pool.matchPrefix(['x', 'y']), [])
})

test('a parent that was released before its child is still evicted after it', () => {
  const pool = new BlockPool(3, { enablePrefixCache: true })
  const parent = cacheChain(pool, ['a'])
  // This holder computed its own copy of block `a`, so it holds the child `b` but not the indexed parent.
  const own = take(pool, 2)
  pool.insert('b', 'a', own[1]!)
  pool.release(parent)
  pool.release(own)
  assert.equal(pool.cachedBlocks, 2)
  take(pool, 1)
  assert.deepEqual(take(pool, 1), [own[1]])
  assert.deepEqual(pool.matchPrefix(['a']), parent)
})

test('integrity names a leaked and a doubly held block', () => {
  const pool = new BlockPool(3, { enablePrefixCache: true })
  const held = take(pool, 2)
  assert.throws(() => pool.assertIntegrity([]), /refcount 1 but 0 tables/)
  assert.throws(() => pool.assertIntegrity([held, held]), /refcount 1 but 2 tables/)
})

test('a block table knows its capacity', () => {
  const table = new BlockTable(16)
  assert.equal(table.missingBlocks(17), 2)
  table.append([7, 3])
  assert.equal(table.capacityTokens, 32)
  assert.equal(table.missingBlocks(32), 0)
  assert.equal(table.missingBlocks(33), 1)
  assert.deepEqual(table.blockIds, [7, 3])
  assert.equal(blocksFor(0, 16), 0)
})

test('the hash chain covers full blocks only and depends on every token before', () => {
  const chain = hashChain('r', [1, 2, 3, 4, 5], 2, hashBlock)
  assert.deepEqual(chain, ['r/1,2', 'r/1,2/3,4'])
  assert.deepEqual(hashChain('r', [1, 2, 9, 4], 2, hashBlock)[0], chain[0])
  assert.notEqual(hashChain('r', [9, 2, 3, 4], 2, hashBlock)[1], chain[1])
})

test('random sharing, indexing and eviction conserves blocks', () => {
  const seed = testSeed(11)
  const random = seededRandom(seed)
  const pool = new BlockPool(40, { enablePrefixCache: true })
  const tables: number[][] = []
  let numEvicting = 0
  for (let round = 0; round < 4000; round++) {
    if (tables.length > 0 && random.next() < 0.45) {
      const [table] = tables.splice(random.int(tables.length), 1)
      pool.release(table!)
    } else {
      const tokens = Array.from({ length: 2 + random.int(12) }, (_, place) => (place < 4 ? random.int(2) : random.int(3)))
      const hashes = hashChain('root', tokens, 2, hashBlock)
      const hits = pool.matchPrefix(hashes)
      pool.share(hits)
      const freeBefore = pool.freeBlocks
      const allocation = pool.allocate(hashes.length - hits.length)
      if (allocation.kind === 'rejected') pool.release(hits)
      else {
        if (allocation.blockIds.length > freeBefore) numEvicting++
        const table = [...hits, ...allocation.blockIds]
        table.forEach((blockId, place) => pool.insert(hashes[place]!, place === 0 ? 'root' : hashes[place - 1]!, blockId))
        tables.push(table)
      }
    }
    pool.assertIntegrity(tables)
  }
  assert.ok(numEvicting > 50, `seed ${seed}: evictions happened (${numEvicting})`)
  for (const table of tables) pool.release(table)
  assert.equal(pool.availableBlocks, 40, `seed ${seed}`)
})
