import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { TestContext } from 'node:test'
import { credentials } from '@grpc/grpc-js'
import { LinkPool } from './link-pool.ts'

const IDLE_CLOSE_MS = 60_000

/** Its channels connect to nothing: nobody calls. */
function openPool(context: TestContext, maxIdle = 2): LinkPool {
  mock.timers.enable({ apis: ['setTimeout'] })
  const pool = new LinkPool({ credentials: credentials.createInsecure(), maxReceiveBytes: 1000, idleCloseMs: IDLE_CLOSE_MS, maxIdle })
  context.after(() => {
    pool.close()
    mock.timers.reset()
  })
  return pool
}

test('pulls from one address share a channel', (context) => {
  const pool = openPool(context)
  const [first, second, other] = [pool.acquire('127.0.0.1:1'), pool.acquire('127.0.0.1:1'), pool.acquire('127.0.0.1:2')]
  assert.equal(first.client, second.client)
  assert.notEqual(first.client, other.client)
  for (const link of [first, second, other]) link.release(true)
  assert.equal(pool.acquire('127.0.0.1:1').client, first.client)
})

test('a channel is closed after a time without pulls, not while one lasts', (context) => {
  const pool = openPool(context)
  const [busy, idle] = [pool.acquire('127.0.0.1:1'), pool.acquire('127.0.0.1:2')]
  idle.release(true)
  mock.timers.tick(IDLE_CLOSE_MS - 1)
  assert.equal(pool.size, 2)
  mock.timers.tick(1)
  assert.equal(pool.size, 1)
  mock.timers.tick(10 * IDLE_CLOSE_MS)
  assert.equal(pool.acquire('127.0.0.1:1').client, busy.client)
})

test('the channels longest idle go when there are too many, those in use stay', (context) => {
  const pool = openPool(context, 2)
  const links = [1, 2, 3, 4, 5].map((port) => pool.acquire(`127.0.0.1:${port}`))
  assert.equal(pool.size, 5)
  for (const link of links.slice(0, 4)) link.release(true)
  assert.equal(pool.size, 3)
  assert.equal(pool.acquire('127.0.0.1:5').client, links[4]!.client)
  assert.equal(pool.acquire('127.0.0.1:4').client, links[3]!.client)
  assert.notEqual(pool.acquire('127.0.0.1:1').client, links[0]!.client)
})

test('a channel whose link failed is not given out again', (context) => {
  const pool = openPool(context)
  const [failed, beside] = [pool.acquire('127.0.0.1:1'), pool.acquire('127.0.0.1:1')]
  failed.release(false)
  const fresh = pool.acquire('127.0.0.1:1')
  assert.notEqual(fresh.client, failed.client)
  beside.release(true)
  fresh.release(true)
  assert.equal(pool.acquire('127.0.0.1:1').client, fresh.client)
  assert.equal(pool.size, 1)
})
