// What a broken network does to a pull over gRPC: a real link with a proxy in it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RubatoError } from '@rubato/config'
import { TcpProxy } from '@rubato/testing'
import { NEVER, outcomeOf, requestFor, testOffer } from '../fixtures/offers.ts'
import { createKvTransport } from '../network-kv-transport.ts'
import type { KvOffer, KvTransport } from '../kv-transport.ts'

interface FaultyLink {
  readonly sender: KvTransport
  readonly receiver: KvTransport
  readonly proxy: TcpProxy
  /** Offers and pulls through the proxy: how the offer ended and how the pull did. */
  readonly transfer: (offer: KvOffer) => Promise<readonly [offered: string, pulled: string]>
}

const IDLE_TIMEOUT_MS = 500

async function withFaultyLink(run: (link: FaultyLink) => Promise<void>): Promise<void> {
  const options = { host: '127.0.0.1', port: 0, advertiseAddress: null, tls: null, lanes: [], idleTimeoutMs: IDLE_TIMEOUT_MS, offerTtlMs: 4_000 }
  const [sender, receiver] = await Promise.all([createKvTransport(options), createKvTransport(options)])
  const proxy = await TcpProxy.start({ targetPort: Number(sender.kvAddress.split(':')[1]) })
  const transfer = async (offer: KvOffer): Promise<readonly [string, string]> => {
    const offered = outcomeOf(sender.offer(offer, NEVER))
    const pulled = outcomeOf(
      receiver.pull(requestFor(offer, proxy.address), NEVER).then(async ({ bytes }) => assert.ok(Buffer.from(await offer.read()).equals(bytes))),
    )
    return Promise.all([offered, pulled])
  }
  try {
    await run({ sender, receiver, proxy, transfer })
  } finally {
    await Promise.all([sender.close(), receiver.close(), proxy.close()])
  }
}

const large = (): KvOffer => testOffer({ numBlocks: 12, blockBytes: 524_288 })

test('a connection cut in the middle fails both sides, and the next pull connects anew', () =>
  withFaultyLink(async ({ proxy, transfer }) => {
    for (const cutAt of [60_000, 3_000_000, 5_999_999]) {
      proxy.cutAfter(cutAt)
      assert.deepEqual(await transfer(large()), ['kv_not_pulled', 'kv_link_failed'], `cut after ${cutAt} bytes`)
    }
    proxy.cutAfter(null)
    assert.deepEqual(await transfer(large()), ['sent', 'sent'])
    assert.equal(proxy.numLinks, 4)
  }))

test('a cut fails every pull on the connection', () =>
  withFaultyLink(async ({ proxy, transfer }) => {
    proxy.cutAfter(2_000_000)
    for (const outcome of await Promise.all([transfer(large()), transfer(large()), transfer(large())])) assert.deepEqual(outcome, ['kv_not_pulled', 'kv_link_failed'])
    assert.equal(proxy.numLinks, 1)
  }))

test('a flipped byte in a payload is found', () =>
  withFaultyLink(async ({ proxy, transfer }) => {
    // Deep inside the first of the 16 KiB that HTTP/2 sends at a time, so never in a header of its own.
    proxy.corruptByteAt(8_000)
    const [, pulled] = await transfer(large())
    assert.equal(pulled, 'kv_corrupt')
    assert.deepEqual(await transfer(large()), ['sent', 'sent'])
  }))

test('a flipped byte anywhere never gives wrong blocks', () =>
  withFaultyLink(async ({ sender, receiver, proxy }) => {
    for (let at = 0; at < 700; at += 37) {
      proxy.corruptByteAt(at)
      const [offer, stop] = [testOffer({ numBlocks: 1, blockBytes: 600 }), new AbortController()]
      const offered = outcomeOf(sender.offer(offer, stop.signal))
      try {
        const { bytes } = await receiver.pull(requestFor(offer, proxy.address), NEVER)
        // It hit what decides nothing.
        assert.ok(Buffer.from(await offer.read()).equals(bytes), `byte ${at}`)
      } catch (error) {
        assert.ok(error instanceof RubatoError && error.retryable, `byte ${at}: ${String(error)}`)
      }
      // The pull may never have reached the sender.
      stop.abort()
      await offered
    }
  }))

test('a link that stalls is given up by both sides', () =>
  withFaultyLink(async ({ proxy, transfer }) => {
    assert.deepEqual(await transfer(testOffer()), ['sent', 'sent'])
    proxy.pause()
    assert.deepEqual(await transfer(large()), ['kv_not_pulled', 'kv_link_failed'])
    proxy.resume()
    assert.deepEqual(await transfer(large()), ['sent', 'sent'])
  }))

test('a sender whose engine does not answer is given up', () =>
  withFaultyLink(async ({ transfer }) => {
    assert.deepEqual(await transfer(testOffer({ read: () => new Promise(() => {}) })), ['kv_not_pulled', 'kv_link_failed'])
  }))

test('pulls share one connection per peer', () =>
  withFaultyLink(async ({ proxy, transfer }) => {
    for (const outcome of await Promise.all([transfer(large()), transfer(large()), transfer(testOffer())])) assert.deepEqual(outcome, ['sent', 'sent'])
    assert.deepEqual(await transfer(testOffer()), ['sent', 'sent'])
    assert.equal(proxy.numLinks, 1)
  }))
