// Draft streams over real gRPC on loopback.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Client, credentials } from '@grpc/grpc-js'
import type { DraftReplyMessage, DraftRequestMessage } from '@rubato/model'
import { TcpProxy, issueCertificate, noOpenssl, temporaryFolder } from '@rubato/testing'
import { PEER, answerOf, askOf, asked, introduced, startScripted, tokensOf } from './fixtures/exchange.ts'
import type { ScriptedSpeculator } from './fixtures/exchange.ts'
import { EXCHANGE_METHOD } from './draft-wire.ts'
import { grpcDraftLinks } from './grpc-draft-links.ts'
import type { DraftLinks } from './draft-links.ts'
import type { DraftTls, GrpcDraftLinksOptions } from './grpc-draft-links.ts'

type Reply = (message: DraftReplyMessage) => void

const answering = (message: DraftRequestMessage, reply: Reply): void => {
  if (message.kind === 'draft-ask') reply({ kind: 'draft-answer', answer: answerOf(message.ask.askId) })
}

async function start(t: TestContext, script: typeof answering, options: Parameters<typeof startScripted>[1] = {}): Promise<ScriptedSpeculator> {
  const speculator = await startScripted(script, options)
  t.after(() => speculator.close())
  return speculator
}

function linksOf(t: TestContext, options: Partial<GrpcDraftLinksOptions> = {}): DraftLinks {
  const links = grpcDraftLinks({ peer: PEER, tls: null, ...options })
  t.after(() => links.close())
  return links
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await delay(1)
}

test('everything that is said arrives as it was said, over one stream', async (t) => {
  const speculator = await start(t, answering)
  const links = linksOf(t)
  links.tell(speculator.address, { sequences: [], forget: [1] })
  const ask = askOf(1, introduced(4), tokensOf(5))
  const news = { sequences: [introduced(6)], forget: [4, 5] }
  assert.deepEqual(await asked(links, speculator.address, ask), answerOf(1))
  links.tell(speculator.address, news)
  assert.deepEqual(await asked(links, speculator.address, askOf(2)), answerOf(2))
  assert.equal(speculator.sessions.length, 1)
  assert.deepEqual(speculator.sessions[0]!.messages, [
    { kind: 'draft-hello', peer: PEER }, { kind: 'draft-ask', ask }, { kind: 'draft-news', news }, { kind: 'draft-ask', ask: askOf(2) },
  ])
})

test('answers find their asks in any order, and one that was given up finds nobody', async (t) => {
  const replies: { askId: number; reply: Reply }[] = []
  const speculator = await start(t, (message, reply) => {
    if (message.kind === 'draft-ask') replies.push({ askId: message.ask.askId, reply })
  })
  const links = linksOf(t)
  const [first, third] = [asked(links, speculator.address, askOf(1)), asked(links, speculator.address, askOf(3))]
  links.ask(speculator.address, askOf(2), () => assert.fail('it was given up'))()
  await until(() => replies.length === 3)
  for (const { askId, reply } of replies.toReversed()) reply({ kind: 'draft-answer', answer: answerOf(askId) })
  assert.deepEqual(await Promise.all([first, third]), [answerOf(1), answerOf(3)])
})

test('a refused hello fails what was asked for good, a refused ask for now, a speculator that leaves until it is back', async (t) => {
  const script = (message: DraftRequestMessage, reply: Reply): void => {
    if (message.kind !== 'draft-ask') return
    const { askId } = message.ask
    if (askId === 1) reply({ kind: 'draft-refused', askId, reason: 'busy', message: 'full' })
    else if (askId === 2) reply({ kind: 'draft-refused', askId: null, reason: 'draining', message: 'leaving' })
    else reply({ kind: 'draft-refused', askId: null, reason: 'other_vocabulary', message: 'not mine' })
  }
  const speculator = await start(t, script)
  const links = linksOf(t)
  for (const [askId, code] of [[1, 'draft_busy'], [2, 'draft_link_failed'], [3, 'draft_refused']] as const) assert.equal(await asked(links, speculator.address, askOf(askId)), code)
  assert.deepEqual(speculator.sessions.map(({ hasEnded }) => hasEnded), [true, true])
})

test('a cut link fails its asks at once and ends the session; the next ask opens another one', async (t) => {
  const speculator = await start(t, (message, reply) => {
    if (message.kind === 'draft-ask' && message.ask.askId !== 1) answering(message, reply)
  })
  const proxy = await TcpProxy.start({ targetPort: Number(speculator.address.split(':')[1]) })
  t.after(() => proxy.close())
  const links = linksOf(t)
  const lost = asked(links, proxy.address, askOf(1))
  await until(() => speculator.sessions[0]?.messages.length === 2)
  proxy.cut()
  assert.equal(await lost, 'draft_link_failed')
  assert.deepEqual(await asked(links, proxy.address, askOf(2)), answerOf(2))
  await until(() => speculator.sessions[0]!.hasEnded)
  assert.deepEqual(speculator.sessions[1]!.messages.map(({ kind }) => kind), ['draft-hello', 'draft-ask'])
})

test('nobody at the address fails at once, and whoever comes there later is found at once', async (t) => {
  const gone = await startScripted(answering)
  await gone.close()
  const links = linksOf(t)
  assert.equal(await asked(links, gone.address, askOf(1)), 'draft_link_failed')
  await start(t, answering, { port: Number(gone.address.split(':')[1]) })
  assert.deepEqual(await asked(links, gone.address, askOf(2)), answerOf(2))
})

test('messages that are none end the stream, on either side', async (t) => {
  const speculator = await start(t, answering)
  const client = new Client(speculator.address, credentials.createInsecure())
  t.after(() => client.close())
  const end = (bytes: Buffer): Promise<number> => new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(EXCHANGE_METHOD.path, (raw: Buffer) => raw, (raw: Buffer) => raw)
    call.on('data', () => {}).on('error', () => {}).on('status', ({ code }: { code: number }) => resolve(code))
    call.write(bytes)
  })
  assert.equal(await end(Buffer.alloc(0)), 3)
  assert.notEqual(await end(Buffer.from('no message at all')), 0)
  await until(() => speculator.sessions.every(({ hasEnded }) => hasEnded))

  const wrong = await start(t, (message, reply) => {
    if (message.kind === 'draft-ask') reply({ kind: 'draft-answer', answer: undefined as never })
  })
  assert.equal(await asked(linksOf(t), wrong.address, askOf(1)), 'draft_link_failed')
})

test('what a frozen speculator does not read is bounded', async (t) => {
  const speculator = await start(t, () => {})
  const proxy = await TcpProxy.start({ targetPort: Number(speculator.address.split(':')[1]) })
  t.after(() => proxy.close())
  const links = linksOf(t)
  let failure: string | null = null
  links.ask(proxy.address, askOf(1), (result) => (failure = result instanceof Error ? 'failed' : 'answered'))
  await until(() => speculator.sessions[0]?.messages.length === 2)
  // Within one turn nothing is sent: as if nobody read.
  const prompt = { ...introduced(1), tokenIds: Array.from({ length: 1000 }, (_, place) => place) }
  for (let count = 0; count < 70; count++) links.tell(proxy.address, { sequences: [prompt], forget: [] })
  assert.equal(failure, 'failed')
})

test('a stream without asks is closed, and close ends every stream', async (t) => {
  const speculator = await start(t, answering)
  const links = linksOf(t, { idleCloseMs: 20 })
  await asked(links, speculator.address, askOf(1))
  await until(() => speculator.sessions[0]!.hasEnded)
  await asked(links, speculator.address, askOf(2))
  links.close()
  await until(() => speculator.sessions[1]!.hasEnded)
  assert.equal(await asked(links, speculator.address, askOf(3)), 'draft_link_failed')
})

test('with mutual TLS only those of one authority speak to each other', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t)
  const issue = (name: string): DraftTls => {
    const { certFile, keyFile, caFile } = issueCertificate(folder, name, ['DNS:localhost'])
    return { cert: readFileSync(certFile), key: readFileSync(keyFile), ca: readFileSync(caFile) }
  }
  const [ours, theirs] = [issue('ours'), issue('theirs')]
  const speculator = await start(t, answering, { tls: ours })
  for (const tls of [null, theirs, { ...theirs, ca: ours.ca }]) assert.equal(await asked(linksOf(t, { tls }), speculator.address, askOf(1)), 'draft_link_failed')
  assert.deepEqual(await asked(linksOf(t, { tls: ours }), speculator.address, askOf(1)), answerOf(1))
})
