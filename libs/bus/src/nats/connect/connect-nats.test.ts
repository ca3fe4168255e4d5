import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { startNatsServer } from '@rubato/testing'
import { connectNats } from './connect-nats.ts'
import { testLink } from '../fixtures/link.ts'

const OPTIONS = { cluster: 'test', name: 'test', connectTimeoutMs: 300 }

test('where nobody listens, and where nobody speaks NATS, the message names the option, the URL and the fix', async (t) => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  t.after(() => {
    silent.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise((resolve) => silent.once('listening', resolve))
  const address = silent.address()
  assert.ok(typeof address === 'object' && address !== null)
  const mute = `127.0.0.1:${address.port}`
  await assert.rejects(connectNats({ ...OPTIONS, servers: ['nats://127.0.0.1:1'] }), { code: 'nats_unreachable', field: '--nats', message: /^--nats 127\.0\.0\.1:1: .*ECONNREFUSED.*nats-server -js/ })
  await assert.rejects(connectNats({ ...OPTIONS, servers: [mute] }), { code: 'nats_unreachable', message: /no NATS server answered in time/ })
})

test('a value that is no NATS URL is refused without repeating it', async () => {
  for (const server of ['http://host:1', 'nats://', 'nats://u:secret@host/path', '::']) {
    await assert.rejects(connectNats({ ...OPTIONS, servers: [server] }), (error: Error & { code?: string }) => error.code === 'invalid_argument' && !error.message.includes('secret'), server)
  }
  await assert.rejects(connectNats({ ...OPTIONS, servers: ['host'], cluster: 'a.b' }), { code: 'invalid_argument', field: '--cluster' })
})

test('credentials: wrong ones are told as such, right ones are taken from the option or the URL', async (t) => {
  const server = await startNatsServer(t, { user: { name: 'rubato', password: 'p@ss' } })
  const port = new URL(server.url).port
  await assert.rejects(connectNats({ ...OPTIONS, servers: [server.url] }), { code: 'nats_unauthorized', field: '--nats' })
  const wrong = connectNats({ ...OPTIONS, servers: [`nats://rubato:wrong@127.0.0.1:${port}`] })
  await assert.rejects(wrong, (error: Error & { code?: string }) => error.code === 'nats_unauthorized' && !error.message.includes('wrong'))
  const byOption = await testLink(t, server.url, { credentials: { kind: 'password', user: 'rubato', password: 'p@ss' } })
  const byUrl = await testLink(t, `nats://rubato:p%40ss@127.0.0.1:${port}`)
  assert.ok(byOption.isConnected && byUrl.isConnected)
})

test('a server without JetStream is told as such', async (t) => {
  const server = await startNatsServer(t, { jetStream: false })
  await assert.rejects(connectNats({ ...OPTIONS, servers: [server.url] }), { code: 'nats_no_jetstream', message: /nats-server -js/ })
})
