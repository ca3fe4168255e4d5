import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { test } from 'node:test'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import { kvTransportContract } from './fixtures/transport-contract.ts'
import { NEVER, outcomeOf, requestFor, testOffer, withPair } from './fixtures/offers.ts'
import type { TransportPair } from './fixtures/offers.ts'
import { createKvTransport } from './network-kv-transport.ts'
import type { KvTransportOptions } from './network-kv-transport.ts'
import type { KvTransferEvent } from './kv-events.ts'
import type { KvOffer } from './kv-transport.ts'
import { PULL_METHOD } from './grpc/kv-service.ts'

const LOOPBACK: KvTransportOptions = { host: '127.0.0.1', port: 0, advertiseAddress: null, tls: null }

async function openPair(options: Partial<KvTransportOptions> = {}): Promise<TransportPair> {
  const [sender, receiver] = await Promise.all([createKvTransport({ ...LOOPBACK, ...options }), createKvTransport({ ...LOOPBACK, ...options })])
  return { sender, receiver }
}

const LANES: Readonly<Record<string, KvTransportOptions['lanes'] & {}>> = { gRPC: [], TCP: ['tcp'], 'local socket': ['tcp', 'unix'] }

for (const [name, lanes] of Object.entries(LANES)) kvTransportContract({ name, open: (offerTtlMs) => openPair({ lanes, ...(offerTtlMs === undefined ? {} : { offerTtlMs }) }) })

test('frames of any size put the same bytes together', async () => {
  for (const framePayloadBytes of [1, 1000, 4096, 1 << 20]) {
    await withPair(() => openPair({ framePayloadBytes }), async ({ sender, receiver }) => {
      const offer = testOffer({ numBlocks: 3, blockBytes: framePayloadBytes === 1 ? 11 : 100_003 })
      const offered = sender.offer(offer, NEVER)
      const { bytes } = await receiver.pull(requestFor(offer, sender.kvAddress), NEVER)
      assert.ok(Buffer.from(await offer.read()).equals(bytes))
      await offered
    })
  }
  await assert.rejects(createKvTransport({ ...LOOPBACK, framePayloadBytes: 1 << 21 }), { code: 'invalid_argument' })
})

test('pulled bytes are read by another thread without a copy: exactly they, of memory that is nobody else\'s', async () => {
  await withPair(openPair, async ({ sender, receiver }) => {
    const offer = testOffer()
    const offered = sender.offer(offer, NEVER)
    const { bytes } = await receiver.pull(requestFor(offer, sender.kvAddress), NEVER)
    await offered
    assert.ok(bytes.buffer instanceof SharedArrayBuffer)
    const { port1, port2 } = new MessageChannel()
    port1.postMessage(bytes)
    const there = receiveMessageOnPort(port2)!.message as Uint8Array
    port1.close()
    assert.deepEqual([there.byteOffset, there.byteLength], [bytes.byteOffset, 3000])
    assert.ok(Buffer.from(await offer.read()).equals(there))
    bytes[0]! ^= 0xff
    assert.equal(there[0], bytes[0])
    const other = testOffer()
    const offeredToo = sender.offer(other, NEVER)
    const next = await receiver.pull(requestFor(other, sender.kvAddress), NEVER)
    await offeredToo
    assert.notEqual(next.bytes.buffer, bytes.buffer)
  })
})

test('nobody at the address is a failed link', async () => {
  const { sender, receiver } = await openPair()
  await sender.close()
  await assert.rejects(receiver.pull(requestFor(testOffer(), sender.kvAddress), NEVER), { code: 'kv_link_failed', retryable: true })
  await receiver.close()
})

for (const hasPullBetween of [true, false]) test(`a sender that comes back at its address is pulled from at once${hasPullBetween ? ', also after it was missed' : ''}`, async () => {
  const { sender, receiver } = await openPair()
  const port = Number(sender.kvAddress.split(':')[1])
  const first = testOffer()
  const offered = sender.offer(first, NEVER)
  await receiver.pull(requestFor(first, sender.kvAddress), NEVER)
  await offered
  await sender.close()
  if (hasPullBetween) await assert.rejects(receiver.pull(requestFor(testOffer(), sender.kvAddress), NEVER), { code: 'kv_link_failed' })
  await withPair(async () => ({ sender: await createKvTransport({ ...LOOPBACK, port }), receiver }), async (pair) => {
    const offer = testOffer()
    const again = pair.sender.offer(offer, NEVER)
    await receiver.pull(requestFor(offer, sender.kvAddress), NEVER)
    await again
  })
})

test('a port that is taken is named by its flag', async () => {
  const transport = await createKvTransport(LOOPBACK)
  const port = Number(transport.kvAddress.split(':')[1])
  await assert.rejects(createKvTransport({ ...LOOPBACK, port }), { code: 'address_in_use', field: '--kv-port', message: /--kv-port/ })
  await transport.close()
})

test('peers are told the advertised host with the port that was bound, never a wildcard', async () => {
  await assert.rejects(createKvTransport({ ...LOOPBACK, host: '0.0.0.0' }), { code: 'invalid_argument', field: '--advertise-address' })
  const transport = await createKvTransport({ ...LOOPBACK, host: '0.0.0.0', advertiseAddress: 'localhost' })
  assert.match(transport.kvAddress, /^localhost:[1-9]\d*$/)
  await transport.close()
})

const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }

test('every transfer is reported once on each side, under its request\'s trace, without its token', async () => {
  const events: KvTransferEvent[] = []
  await withPair(() => openPair({ onTransfer: (event) => events.push(event) }), async ({ sender, receiver }) => {
    const offer = { ...testOffer({ token: 'secret-token' }), trace: TRACE }
    const offered = sender.offer(offer, NEVER)
    const request = { ...requestFor(offer, sender.kvAddress), trace: TRACE }
    await receiver.pull(request, NEVER)
    await offered
    await outcomeOf(receiver.pull(request, NEVER).then(() => {}))
  })
  // Each side's in its order; nothing orders what one side hears against the other.
  const kinds = events.map(({ kind }) => kind)
  assert.deepEqual(kinds.filter((kind) => kind.startsWith('sen')), ['sent', 'send-refused'])
  assert.deepEqual(kinds.filter((kind) => kind.startsWith('pull')), ['pulled', 'pull-failed'])
  for (const event of events) if (event.kind !== 'send-refused') assert.deepEqual(event.trace, TRACE)
  assert.ok(!JSON.stringify(events.map((event) => ({ ...event, requestId: '' }))).includes('secret-token'))
})

/** Asks for the blocks and then takes nothing off the connection; gives what ends it. */
function stallingPull({ token, requestId, epoch, modelFingerprint, numBlocks, blockBytes }: KvOffer, kvAddress: string): () => void {
  const session = connect(`http://${kvAddress}`)
  const message = PULL_METHOD.requestSerialize({ token, requestId, ...epoch, modelFingerprint, numBlocks, blockBytes })
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.byteLength, 1)
  const stream = session.request({ ':method': 'POST', ':path': PULL_METHOD.path, 'content-type': 'application/grpc', te: 'trailers' })
  stream.end(Buffer.concat([prefix, message]))
  return () => session.destroy()
}

test('a receiver that stalls costs the sender two frames beside the blocks, and is given up', async () => {
  const framePayloadBytes = 1 << 20
  const blocks = new Uint8Array(48 * framePayloadBytes)
  const sender = await createKvTransport({ ...LOOPBACK, framePayloadBytes, idleTimeoutMs: 150 })
  const offer = testOffer({ numBlocks: 48, blockBytes: framePayloadBytes, read: () => Promise.resolve(blocks) })
  const bytesBefore = process.memoryUsage().arrayBuffers
  const offered = outcomeOf(sender.offer(offer, NEVER))
  const end = stallingPull(offer, sender.kvAddress)
  try {
    assert.equal(await offered, 'kv_not_pulled')
    const grownBytes = process.memoryUsage().arrayBuffers - bytesBefore
    assert.ok(grownBytes < 4 * framePayloadBytes, `${grownBytes} bytes more`)
  } finally {
    end()
    await sender.close()
  }
})
