// What a broken network does to a pull over lanes: frames that are spoiled or lost come again, wrong bytes never get through.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RubatoError } from '@rubato/config'
import { seededRandom, testSeed } from '@rubato/testing'
import { NEVER, outcomeOf, requestFor, testOffer } from '../fixtures/offers.ts'
import { large, withFaultyLink } from './fixtures/faulty-link.ts'
import { LANE_HEADER_BYTES } from './lane-message.ts'

test('whatever broke, closing leaves no socket and no timer', async () => {
  const open = (): string[] => process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|TLS|Timeout/.test(name)).toSorted()
  const before = open()
  await withFaultyLink(async ({ sender, receiver, proxy, transfer }) => {
    proxy.cutAfter(700_000)
    assert.deepEqual(await transfer(large()), ['sent', 'sent'])
    const stop = new AbortController()
    const offer = testOffer({ read: () => (stop.abort(), new Promise(() => {})) })
    const offered = outcomeOf(sender.offer(offer, NEVER))
    assert.equal(await outcomeOf(receiver.pull(requestFor(offer, proxy.address), stop.signal).then(() => {})), 'kv_link_failed')
    assert.equal(await offered, 'kv_not_pulled')
    const waiting = testOffer({ read: () => new Promise(() => {}) })
    void outcomeOf(sender.offer(waiting, NEVER))
    void outcomeOf(receiver.pull(requestFor(waiting, proxy.address), NEVER).then(() => {}))
  })
  while (open().length > before.length) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(open(), before)
})

test('connections that are cut again and again cost a transfer nothing but what was under way', () =>
  withFaultyLink(async ({ proxy, receiver, transfer }) => {
    // Each connection has room for the largest frame, a MiB, so that each carries something.
    proxy.cutAfter(1_200_000)
    assert.deepEqual(await transfer(large()), ['sent', 'sent'])
    assert.ok(proxy.numLinks > 4, `${proxy.numLinks} connections`)
    assert.ok(receiver.links()[0]!.numFramesAgain > 0)
    proxy.cutAfter(null)
    assert.deepEqual(await transfer(large()), ['sent', 'sent'])
  }))

test('connections that carry nothing before they are cut fail the link, and the next pull opens another', () =>
  withFaultyLink(async ({ proxy, transfer }) => {
    assert.deepEqual(await transfer(testOffer()), ['sent', 'sent'])
    proxy.cutAfter(300)
    proxy.cut()
    assert.equal((await transfer(large()))[1], 'kv_link_failed')
    proxy.cutAfter(null)
    assert.deepEqual(await transfer(large()), ['sent', 'sent'])
  }))

test('a flipped byte in a payload costs that frame alone', () =>
  withFaultyLink(async ({ proxy, receiver, transfer }) => {
    proxy.corruptByteAt(50_000)
    assert.deepEqual(await transfer(large()), ['sent', 'sent'])
    const [link] = receiver.links()
    assert.equal(link!.numFramesAgain, 1)
    assert.equal(proxy.numLiveLinks, proxy.numLinks)
  }))

test('a flipped byte anywhere never gives wrong blocks', () =>
  withFaultyLink(async ({ sender, receiver, proxy }) => {
    const seed = testSeed(3)
    const random = seededRandom(seed)
    // The welcome, the first frame's header, and anywhere in the frames.
    const places = [...Array.from({ length: 2 * LANE_HEADER_BYTES }, (_, at) => at).filter((at) => at % 5 === 0), ...Array.from({ length: 10 }, () => random.int(90_000))]
    for (const at of places) {
      proxy.cut()
      proxy.corruptByteAt(at)
      const [offer, stop] = [testOffer({ numBlocks: 2, blockBytes: 50_000 }), new AbortController()]
      const offered = outcomeOf(sender.offer(offer, stop.signal))
      try {
        const { bytes } = await receiver.pull(requestFor(offer, proxy.address), NEVER)
        assert.ok(Buffer.from(await offer.read()).equals(bytes), `seed ${seed}, byte ${at}`)
      } catch (error) {
        assert.ok(error instanceof RubatoError && error.retryable, `seed ${seed}, byte ${at}: ${String(error)}`)
      }
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
  }, 500))

test('a pull that is given up stops what is under way, and the lanes carry the next one', () =>
  withFaultyLink(async ({ sender, receiver, proxy, transfer }) => {
    assert.deepEqual(await transfer(testOffer()), ['sent', 'sent'])
    const stop = new AbortController()
    const offer = large()
    const offered = outcomeOf(sender.offer({ ...offer, read: async () => (setImmediate(() => stop.abort()), await offer.read()) }, NEVER))
    assert.equal(await outcomeOf(receiver.pull(requestFor(offer, proxy.address), stop.signal).then(() => {})), 'kv_link_failed')
    assert.equal(await offered, 'kv_not_pulled')
    const { numLinks } = proxy
    assert.deepEqual(await transfer(testOffer()), ['sent', 'sent'])
    assert.ok(proxy.numLinks - numLinks <= 3, 'the lanes were opened anew')
  }))

test('a receiver that vanishes is given up within a moment', () =>
  withFaultyLink(async ({ sender, receiver, proxy }) => {
    const reading = Promise.withResolvers<void>()
    const offered = outcomeOf(sender.offer(testOffer({ token: 'vanishing', read: () => (reading.resolve(), new Promise(() => {})) }), NEVER))
    const pulled = outcomeOf(receiver.pull(requestFor(testOffer({ token: 'vanishing' }), proxy.address), NEVER).then(() => {}))
    await reading.promise
    await proxy.close()
    assert.deepEqual([await offered, await pulled], ['kv_not_pulled', 'kv_link_failed'])
  }, 4_000))
