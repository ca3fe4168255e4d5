// Streams whose client reads slowly, not at all, or goes away.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { ScriptedRouter, silentLog } from '../front-door/scripted-router.ts'
import type { ScriptedCall } from '../front-door/scripted-router.ts'
import type { RouterPort } from '../client.ts'
import type { FrontDoor } from '../front-door/options.ts'
import { startHttpFrontDoor } from './front-door.ts'
import { openRawPost, rawRequest, sseData } from './raw-client.ts'

const COMPLETIONS = '/v1/completions'
const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const DELTA_CHARS = 64 * 1024

/** Sends numbered deltas, one per tick, until the door pauses them. Returns the texts sent. */
async function flood(call: ScriptedCall): Promise<string[]> {
  const sent: string[] = []
  while (!call.isPaused) {
    const text = `${sent.length}:`.padEnd(DELTA_CHARS, '.')
    sent.push(text)
    call.delta(text)
    await new Promise(setImmediate)
  }
  return sent
}

/** The whole text of the stream: undoes HTTP chunking first. */
function streamedText(raw: Buffer): string {
  let rest = raw.subarray(raw.indexOf('\r\n\r\n') + 4)
  const parts: Buffer[] = []
  for (;;) {
    const lineEnd = rest.indexOf('\r\n')
    const sizeBytes = Number.parseInt(rest.subarray(0, lineEnd).toString(), 16)
    if (sizeBytes === 0) break
    parts.push(rest.subarray(lineEnd + 2, lineEnd + 2 + sizeBytes))
    rest = rest.subarray(lineEnd + 2 + sizeBytes + 2)
  }
  const data = sseData(Buffer.concat(parts).toString())
  assert.equal(data.at(-1), '[DONE]')
  return data.slice(0, -1).map((item) => (JSON.parse(item) as { choices: { text: string }[] }).choices[0]?.text ?? '').join('')
}

suite('slow and leaving readers', () => {
  let router: ScriptedRouter
  let door: FrontDoor
  before(async () => {
    router = new ScriptedRouter((call) => call.accept())
    door = await startHttpFrontDoor({ router, host: '127.0.0.1', port: 0, log: silentLog, metrics: () => '', version: '1' })
  })
  after(() => door.close(100))

  test('a full buffer pauses the request; reading on resumes it and loses nothing', async () => {
    router.calls.length = 0
    const socket = await openRawPost(door.port, COMPLETIONS, { prompt: 'x', stream: true })
    const call = await router.call()
    const sent = await flood(call)
    const received: Buffer[] = []
    socket.on('data', (chunk: Buffer) => received.push(chunk))
    await call.resumed()
    // What the router held back during the pause comes as one delta.
    call.delta('held', { finish: 'stop' }).finish()
    while (!Buffer.concat(received.slice(-2)).includes('0\r\n\r\n')) await once(socket, 'data')
    assert.equal(streamedText(Buffer.concat(received)), `${sent.join('')}held`)
    assert.equal(call.numPauses, 1)
    assert.equal(call.isCancelled, false)
    socket.destroy()
  })

  test('a client that leaves while it is paused cancels the request', async () => {
    router.calls.length = 0
    const socket = await openRawPost(door.port, COMPLETIONS, { prompt: 'x', stream: true })
    const call = await router.call()
    await flood(call)
    socket.destroy()
    await call.cancelled()
  })

  test('a client that closes its side before any token cancels the request', async () => {
    router.calls.length = 0
    const socket = await openRawPost(door.port, COMPLETIONS, { prompt: 'x' })
    const call = await router.call()
    socket.end()
    await call.cancelled()
  })

  test('a client that reads nothing is cut off', async () => {
    const warnings: object[] = []
    const traced: RouterPort = {
      submit: (request, sink) => ({ ...router.submit(request, sink), trace: TRACE }), models: () => router.models(), ready: () => true,
      tokenize: (...args) => router.tokenize(...args), detokenize: (...args) => router.detokenize(...args),
    }
    const log = { ...silentLog, warn: (fields: object) => void warnings.push(fields) }
    const strict = await startHttpFrontDoor({ router: traced, host: '127.0.0.1', port: 0, limits: { stallMs: 40 }, log, metrics: () => '', version: '1' })
    router.calls.length = 0
    const socket = await openRawPost(strict.port, COMPLETIONS, { prompt: 'x', stream: true })
    const call = await router.call()
    await flood(call)
    await call.cancelled()
    assert.deepEqual(warnings, [{ requestId: call.request.requestId, trace: TRACE }])
    await strict.close(60_000)
    socket.destroy()
  })

  test('many streams at once each get their own text', async () => {
    router.calls.length = 0
    router.script = (call) => {
      call.accept()
      setImmediate(() => call.delta(`answer ${call.request.input.kind === 'text' ? call.request.input.text : ''}`, { finish: 'stop' }).finish())
    }
    const numStreams = 600
    const answers = await Promise.all(Array.from({ length: numStreams }, (_, number) => rawRequest(door.port, { path: COMPLETIONS, body: JSON.stringify({ prompt: `#${number}`, stream: true }) })))
    for (const [number, answer] of answers.entries()) assert.match(answer.text, new RegExp(`"text":"answer #${number}"`))
  })
})
