// The HTTP front door against hand-made requests: what is refused, and how.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { after, before, beforeEach, suite, test } from 'node:test'
import { RubatoError } from '@rubato/config'
import { ScriptedRouter, helloScript, silentLog } from '../front-door/scripted-router.ts'
import type { FrontDoor } from '../front-door/options.ts'
import { startHttpFrontDoor } from './front-door.ts'
import { errorOf, openRawPost, rawRequest } from './raw-client.ts'
import type { RawRequest } from './raw-client.ts'

const COMPLETIONS = '/v1/completions'
const CHAT = '/v1/chat/completions'
const options = { host: '127.0.0.1', port: 0, log: silentLog, metrics: () => 'rubato_up 1\n', version: '1.2.3' }

suite('HTTP front door', () => {
  const router = new ScriptedRouter()
  let door: FrontDoor
  const ask = (parts: RawRequest) => rawRequest(door.port, parts)
  const post = (path: string, body: object) => ask({ path, body: JSON.stringify(body) })

  before(async () => {
    door = await startHttpFrontDoor({ ...options, router })
  })
  beforeEach(() => {
    router.calls.length = 0
    router.isReady = true
    router.script = helloScript
  })
  after(() => door.close(100))

  test('probes, version and metrics', async () => {
    assert.equal((await ask({ path: '/health' })).status, 200)
    router.isReady = false
    assert.equal((await ask({ path: '/health' })).status, 503)
    assert.equal((await ask({ path: '/livez' })).status, 200)
    assert.deepEqual(JSON.parse((await ask({ path: '/version' })).text), { version: '1.2.3' })
    const metrics = await ask({ path: '/metrics?x=1' })
    assert.equal(metrics.text, 'rubato_up 1\n')
    assert.match(String(metrics.headers['content-type']), /^text\/plain; version=0\.0\.4/)
    const head = await ask({ method: 'HEAD', path: '/livez' })
    assert.deepEqual([head.status, head.text], [200, ''])
  })

  test('unknown paths are 404 and wrong methods 405', async () => {
    for (const path of ['/', '/v1', '/v1/models/', '/v1/completions/', '/v1/models/%ff', '/v1/embeddings']) {
      const answer = await ask({ path })
      assert.deepEqual([path, answer.status, errorOf(answer).code], [path, 404, 'unknown_endpoint'])
    }
    const answer = await ask({ path: COMPLETIONS })
    assert.deepEqual([answer.status, answer.headers.allow], [405, 'POST'])
    assert.equal((await post('/v1/models', {})).status, 405)
  })

  test('tokenize and detokenize as vLLM', async () => {
    const tokens = await post('/tokenize', { model: 'tiny/chat', prompt: 'Hi' })
    assert.deepEqual(JSON.parse(tokens.text), { count: 3, max_model_len: 2048, tokens: [1, 72, 105], token_strs: null })
    const chat = await post('/tokenize', { messages: [{ role: 'user', content: 'Hi' }] })
    assert.deepEqual((JSON.parse(chat.text) as { tokens: number[] }).tokens, [72, 105])
    assert.deepEqual(JSON.parse((await post('/detokenize', { tokens: [72, 105] })).text), { prompt: 'Hi' })
    assert.equal((await post('/tokenize', { model: 'absent', prompt: 'Hi' })).status, 404)
    assert.equal(errorOf(await post('/tokenize', {})).param, 'prompt')
    assert.equal(errorOf(await post('/detokenize', { tokens: ['a'] })).param, 'tokens')
  })

  test('bodies that are no JSON object of well-formed text are 400', async () => {
    const bodies: (string | Uint8Array)[] = [
      '', '{', '[]', '3', 'null', '"text"', '{"model":"tiny/chat","prompt":"x"',
      Buffer.concat([Buffer.from('{"prompt":"'), Uint8Array.of(0xff, 0xfe), Buffer.from('"}')]),
    ]
    for (const body of bodies) {
      const answer = await ask({ path: COMPLETIONS, body })
      assert.deepEqual([answer.status, errorOf(answer).code], [400, 'invalid_body'], String(body))
    }
    const lone = await ask({ path: CHAT, body: '{"messages":[{"role":"user","content":"a"},{"role":"user","content":"\\ud83d"}]}' })
    assert.deepEqual([lone.status, errorOf(lone).param], [400, 'messages[1].content'])
    const whole = await ask({ path: COMPLETIONS, body: '{"prompt":"\\ud83d\\ude00"}' })
    assert.equal(whole.status, 200)
    assert.deepEqual(router.calls[0]?.request.input, { kind: 'text', text: '😀' })
  })

  test('the content type does not matter, compression is refused', async () => {
    const body = JSON.stringify({ prompt: 'x' })
    assert.equal((await ask({ path: COMPLETIONS, body, headers: { 'content-type': 'application/x-www-form-urlencoded' } })).status, 200)
    assert.equal((await ask({ path: COMPLETIONS, body, headers: { 'content-encoding': 'gzip' } })).status, 415)
  })

  test('a body over 4 MiB is 413, announced or not, and the sender sees the answer', async () => {
    const body = Buffer.alloc(5 * 1024 * 1024, 32)
    const announced = await ask({ path: COMPLETIONS, body })
    assert.deepEqual([announced.status, errorOf(announced).code], [413, 'request_too_large'])
    const chunked = await ask({ path: COMPLETIONS, body, headers: { 'transfer-encoding': 'chunked' } })
    assert.equal(chunked.status, 413)
    assert.equal(router.calls.length, 0)
  })

  test('an upload refused by its size is answered before it is sent', async () => {
    const socket = connect(door.port, '127.0.0.1')
    socket.write(`POST ${COMPLETIONS} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n`)
    const [answer] = await once(socket, 'data')
    assert.match(String(answer), /^HTTP\/1\.1 413 /)
    socket.destroy()
  })

  test('request ids come from the header or the body, go back, and are checked', async () => {
    const byHeader = await ask({ path: COMPLETIONS, body: '{"prompt":"x"}', headers: { 'x-request-id': 'abc-1' } })
    assert.equal(byHeader.headers['x-request-id'], 'abc-1')
    assert.equal((JSON.parse(byHeader.text) as { id: string }).id, 'cmpl-abc-1')
    const byBody = await ask({ path: COMPLETIONS, body: '{"prompt":"x","request_id":"body-1"}', headers: { 'x-request-id': 'abc-2' } })
    assert.equal(byBody.headers['x-request-id'], 'body-1')
    assert.equal((await ask({ path: '/livez', headers: { 'x-request-id': 'a b' } })).status, 400)
    assert.match(String((await ask({ path: '/livez' })).headers['x-request-id']), /^[0-9a-f-]{36}$/)
  })

  test('SLO targets come from the body, then from either set of headers', async () => {
    const send = async (body: object, headers: Record<string, string>) => {
      await ask({ path: COMPLETIONS, body: JSON.stringify({ prompt: 'x', ...body }), headers })
      return router.calls.at(-1)?.request.slo
    }
    assert.deepEqual(await send({}, {}), { ttftMs: null, tpotMs: null })
    assert.deepEqual(await send({}, { 'x-slo-ttft-ms': '200', 'x-llm-d-slo-tpot-ms': '20.5' }), { ttftMs: 200, tpotMs: 20.5 })
    assert.deepEqual(await send({ slo: { ttft_ms: 90 } }, { 'x-slo-ttft-ms': '200', 'x-slo-tpot-ms': '30' }), { ttftMs: 90, tpotMs: 30 })
    const bad = await ask({ path: COMPLETIONS, body: '{"prompt":"x"}', headers: { 'x-slo-tpot-ms': 'fast' } })
    assert.deepEqual([bad.status, errorOf(bad).param], [400, 'x-slo-tpot-ms'])
  })

  test('Last-Event-ID and x-request-id resume a stream where each of its choices stopped', async () => {
    const headers = { 'last-event-id': '3,0,12,1', 'x-request-id': 'r7' }
    const answer = await ask({ path: COMPLETIONS, body: '{"prompt":["x","y"],"n":2,"stream":true}', headers })
    assert.equal(answer.headers['x-request-id'], 'r7')
    assert.deepEqual(router.calls.slice(-2).map(({ request }) => [request.requestId, request.resumeFrom]), [['r7/0', [3, 0]], ['r7/1', [12, 1]]])
  })

  test('a Last-Event-ID that says nothing, or not of this request, is refused by its name', async () => {
    const numCalls = router.calls.length
    const send = async (id: string, body: object, headers: Record<string, string> = { 'x-request-id': 'r8' }) => {
      const answer = await ask({ path: COMPLETIONS, body: JSON.stringify({ prompt: 'x', ...body }), headers: { 'last-event-id': id, ...headers } })
      return [answer.status, errorOf(answer).param]
    }
    for (const id of ['', 'three', '1.5', '-1', '1,', '1,2', '12345678901']) assert.deepEqual(await send(id, { stream: true }), [400, 'last-event-id'], id)
    assert.deepEqual(await send('3', {}), [400, 'last-event-id'])
    assert.deepEqual(await send('3', { stream: true }, {}), [400, 'x-request-id'])
    assert.equal(router.calls.length, numCalls)
  })

  test('traceparent names the span above the request; a malformed one is as good as none', async () => {
    const send = async (traceparent: string) => {
      await ask({ path: COMPLETIONS, body: '{"prompt":"x"}', headers: { traceparent } })
      return router.calls.at(-1)?.request.trace
    }
    assert.deepEqual(await send('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'), { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: false })
    for (const bad of ['', 'x', '00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '00-00000000000000000000000000000000-b7ad6b7169203331-01']) assert.equal(await send(bad), null, bad)
  })

  test('an API key guards everything but probes and metrics', async () => {
    const guarded = await startHttpFrontDoor({ ...options, router, apiKey: 'k' })
    for (const path of ['/health', '/livez', '/version', '/metrics']) assert.equal((await rawRequest(guarded.port, { path })).status, 200)
    const bare = await rawRequest(guarded.port, { path: '/v1/models' })
    assert.deepEqual([bare.status, errorOf(bare).code, bare.headers['www-authenticate']], [401, 'invalid_api_key', 'Bearer'])
    assert.equal((await rawRequest(guarded.port, { path: '/tokenize', body: '{}' })).status, 401)
    assert.equal((await rawRequest(guarded.port, { path: '/v1/models', headers: { authorization: 'Bearer k' } })).status, 200)
    await guarded.close(100)
  })

  test('a taken port names its flag', async () => {
    await assert.rejects(startHttpFrontDoor({ ...options, router, port: door.port }), (error) => error instanceof RubatoError && error.code === 'address_in_use' && /--port/.test(error.message))
  })

  test('closing lets running requests finish and refuses new connections', async () => {
    const closing = await startHttpFrontDoor({ ...options, router })
    router.script = (call) => call.accept()
    const agent = new Agent({ keepAlive: true })
    const req = request({ host: '127.0.0.1', port: closing.port, path: COMPLETIONS, method: 'POST', agent })
    req.end('{"prompt":"x"}')
    const call = await router.call()
    const closed = closing.close(60_000)
    await assert.rejects(rawRequest(closing.port, { path: '/livez' }))
    const answered = once(req, 'response')
    call.delta('done', { finish: 'stop' }).finish()
    const [res] = await answered
    res.resume()
    await closed
    assert.equal(res.statusCode, 200)
    agent.destroy()
  })

  test('closing cancels what outlives the deadline', async () => {
    const closing = await startHttpFrontDoor({ ...options, router })
    router.script = (call) => call.accept()
    const socket = await openRawPost(closing.port, COMPLETIONS, { prompt: 'x', stream: true })
    const call = await router.call()
    await Promise.all([closing.close(1), call.cancelled()])
    socket.destroy()
  })
})
