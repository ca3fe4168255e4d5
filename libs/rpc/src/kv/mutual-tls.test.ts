import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { issueCertificate, noOpenssl, temporaryFolder } from '@rubato/testing'
import { NEVER, outcomeOf, requestFor, testOffer, withPair } from './fixtures/offers.ts'
import { createKvTransport } from './network-kv-transport.ts'
import type { KvTls } from './kv-tls.ts'

function issue(folder: string, name: string): KvTls {
  const { certFile, keyFile, caFile } = issueCertificate(folder, name, ['DNS:localhost'])
  return { cert: readFileSync(certFile), key: readFileSync(keyFile), ca: readFileSync(caFile) }
}

test('with mutual TLS blocks pass between instances of one authority, and to nobody else', { skip: noOpenssl }, async (context) => {
  const folder = temporaryFolder(context)
  const [ours, theirs] = [issue(folder, 'ours'), issue(folder, 'theirs')]
  const start = (tls: KvTls | null) => createKvTransport({ host: '127.0.0.1', port: 0, advertiseAddress: 'localhost', tls, idleTimeoutMs: 2_000 })
  await withPair(async () => ({ sender: await start(ours), receiver: await start(ours) }), async ({ sender, receiver }) => {
    const offer = testOffer({ numBlocks: 5, blockBytes: 300_001 })
    const offered = outcomeOf(sender.offer(offer, NEVER))
    for (const tls of [null, theirs]) {
      const stranger = await start(tls)
      await assert.rejects(stranger.pull(requestFor(offer, sender.kvAddress), NEVER), { code: 'kv_link_failed' })
      await stranger.close()
    }
    const { bytes } = await receiver.pull(requestFor(offer, sender.kvAddress), NEVER)
    assert.ok(Buffer.from(await offer.read()).equals(bytes))
    assert.equal(await offered, 'sent')
  })
})

test('a sender that another authority vouches for is not pulled from', { skip: noOpenssl }, async (context) => {
  const folder = temporaryFolder(context)
  const [ours, theirs] = [issue(folder, 'ours'), issue(folder, 'theirs')]
  const start = (tls: KvTls) => createKvTransport({ host: '127.0.0.1', port: 0, advertiseAddress: 'localhost', tls, idleTimeoutMs: 2_000 })
  await withPair(async () => ({ sender: await start(theirs), receiver: await start(ours) }), async ({ sender, receiver }) => {
    const offer = testOffer()
    const offered = outcomeOf(sender.offer(offer, NEVER))
    await assert.rejects(receiver.pull(requestFor(offer, sender.kvAddress), NEVER), { code: 'kv_link_failed' })
    await sender.close()
    assert.equal(await offered, 'kv_not_pulled')
  })
})
