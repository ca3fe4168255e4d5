import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { test } from 'node:test'
import { TcpProxy } from './tcp-proxy.ts'

const ANSWER = Buffer.alloc(100_000, 'answer ')

/** A server that answers every connection with ANSWER and ends it, behind a proxy. */
async function withProxy(run: (proxy: TcpProxy) => Promise<void>): Promise<void> {
  const server = createServer((socket) => socket.on('error', () => {}).end(ANSWER))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy = await TcpProxy.start({ targetPort: (server.address() as AddressInfo).port })
  try {
    await run(proxy)
  } finally {
    await proxy.close()
    server.close()
  }
}

interface Received {
  readonly bytes: Buffer
  readonly wasReset: boolean
}

function receive(socket: Socket): Promise<Received> {
  const chunks: Buffer[] = []
  return new Promise((resolve) => {
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => resolve({ bytes: Buffer.concat(chunks), wasReset: true }))
    socket.on('end', () => resolve({ bytes: Buffer.concat(chunks), wasReset: false }))
  })
}

test('bytes pass as they are, to the end', () =>
  withProxy(async (proxy) => {
    const { bytes, wasReset } = await receive(connect(proxy.port, '127.0.0.1'))
    assert.ok(bytes.equals(ANSWER) && !wasReset)
    assert.equal(proxy.numLinks, 1)
  }))

test('the byte that is to be corrupted is, once, and no other', () =>
  withProxy(async (proxy) => {
    proxy.corruptByteAt(70_000)
    const { bytes } = await receive(connect(proxy.port, '127.0.0.1'))
    assert.equal(bytes[70_000], ANSWER[70_000]! ^ 0xff)
    bytes[70_000]! ^= 0xff
    assert.ok(bytes.equals(ANSWER))
    assert.ok((await receive(connect(proxy.port, '127.0.0.1'))).bytes.equals(ANSWER))
  }))

test('a link is reset once enough bytes came, and no longer when told so', () =>
  withProxy(async (proxy) => {
    proxy.cutAfter(50_000)
    const { bytes, wasReset } = await receive(connect(proxy.port, '127.0.0.1'))
    assert.ok(wasReset && bytes.byteLength < ANSWER.byteLength)
    proxy.cutAfter(null)
    assert.ok((await receive(connect(proxy.port, '127.0.0.1'))).bytes.equals(ANSWER))
  }))

test('a paused proxy lets nothing through until it is resumed or cut', () =>
  withProxy(async (proxy) => {
    proxy.pause()
    const [first, second] = [connect(proxy.port, '127.0.0.1'), connect(proxy.port, '127.0.0.1')]
    const received = [receive(first), receive(second)] as const
    await Promise.all([once(first, 'connect'), once(second, 'connect')])
    while (proxy.numLiveLinks < 2) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([first.bytesRead, second.bytesRead], [0, 0])
    proxy.cut()
    assert.deepEqual((await Promise.all(received)).map(({ bytes, wasReset }) => [bytes.byteLength, wasReset]), [[0, true], [0, true]])
    const third = receive(connect(proxy.port, '127.0.0.1'))
    while (proxy.numLinks < 3) await new Promise((resolve) => setImmediate(resolve))
    proxy.resume()
    assert.ok((await third).bytes.equals(ANSWER))
  }))

test('what a slow link carries arrives whole, and later', () =>
  withProxy(async (proxy) => {
    proxy.delay(30)
    const startMs = performance.now()
    const { bytes, wasReset } = await receive(connect(proxy.port, '127.0.0.1'))
    assert.ok(bytes.equals(ANSWER) && !wasReset)
    assert.ok(performance.now() - startMs >= 29)
  }))
