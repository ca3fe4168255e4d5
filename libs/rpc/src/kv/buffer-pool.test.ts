import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { BufferPool } from './buffer-pool.ts'

test('memory that was given back is used again, for contents that need at least half of it', () => {
  const pool = new BufferPool()
  const first = pool.take(1_000_000)
  pool.giveBack(first)
  const again = pool.take(600_000)
  assert.equal(again.buffer, first.buffer)
  assert.equal(again.byteLength, 600_000)
  pool.giveBack(again)
  assert.notEqual(pool.take(300_000).buffer, first.buffer)
  assert.notEqual(pool.take(1_100_000).buffer, first.buffer)
})

test('whatever is taken and given back in whatever order, nobody shares memory and little lies idle', () => {
  const seed = testSeed(5)
  const random = seededRandom(seed)
  const pool = new BufferPool()
  const held = new Set<Uint8Array<SharedArrayBuffer>>()
  for (let step = 0; step < 2_000; step++) {
    if (random.int(2) === 0 || held.size === 0) {
      const bytes = pool.take(1 + random.int(8_000_000))
      for (const { buffer } of held) assert.notEqual(buffer, bytes.buffer, `seed ${seed}, step ${step}`)
      held.add(bytes)
    } else {
      const bytes = random.pick([...held])
      held.delete(bytes)
      pool.giveBack(bytes)
      if (random.int(4) === 0) pool.giveBack(bytes)
    }
    assert.ok(pool.idleBytes <= 128 << 20)
  }
})

test('memory of others is left alone', () => {
  const pool = new BufferPool()
  pool.giveBack(new Uint8Array(100_000))
  pool.giveBack(new Uint8Array(new SharedArrayBuffer(100_000)))
  assert.equal(pool.idleBytes, 0)
})
