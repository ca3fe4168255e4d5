// The gRPC front door, used by a client that discovers it through reflection.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, beforeEach, suite, test } from 'node:test'
import { Metadata, status } from '@grpc/grpc-js'
import type { Client, ServiceError } from '@grpc/grpc-js'
import { RubatoError } from '@rubato/config'
import { errorDetailsOf } from '@rubato/rpc'
import { ScriptedRouter, helloScript, silentLog } from '../front-door/scripted-router.ts'
import type { ScriptedCall } from '../front-door/scripted-router.ts'
import type { FrontDoor } from '../front-door/options.ts'
import { startGrpcFrontDoor } from './front-door.ts'
import { discover, listServices, outcomeOf, startGenerate, unary } from './reflection-client.ts'

const INFERENCE = 'rubato.v1.Inference'
const HEALTH = 'grpc.health.v1.Health'

function metadataOf(entries: Readonly<Record<string, string>> = {}): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value)
  return metadata
}

suite('gRPC front door', () => {
  const router = new ScriptedRouter()
  let door: FrontDoor
  let address: string
  let client: Client
  const ask = (request: object, entries = {}, options = {}) => outcomeOf(startGenerate(client, request, metadataOf(entries), options))

  before(async () => {
    door = await startGrpcFrontDoor({ router, host: '127.0.0.1', port: 0, log: silentLog })
    address = `127.0.0.1:${door.port}`
    client = await discover(address, INFERENCE)
  })
  beforeEach(() => {
    router.calls.length = 0
    router.isReady = true
    router.script = helloScript
  })
  after(async () => {
    client.close()
    await door.close(1000)
  })

  test('reflection lists the service and health', async () => {
    assert.deepEqual((await listServices(address)).toSorted(), [HEALTH, INFERENCE])
  })

  test('Generate streams deltas, with usage and timing on the last message', async () => {
    const { messages, status: end, headers } = await ask({ model: 'tiny/chat', prompt: 'Hi', request_id: 'r1' })
    assert.equal(end.code, status.OK)
    assert.deepEqual(headers?.get('x-request-id'), ['r1'])
    assert.equal(messages.map((message) => message.text).join(''), 'Hello wörld!')
    assert.deepEqual(messages.flatMap((message) => message.token_ids), [1, 2, 3])
    const last = messages.at(-1)
    assert.equal(messages.filter((message) => message.finish_reason === 'FINISH_REASON_STOP').length, 1)
    assert.deepEqual(last?.usage, { prompt_tokens: 5, cached_tokens: 2, completion_tokens: 3 })
    assert.equal(last?.timing?.tpot_ms, 4.5)
    assert.equal(last?.timing?.accepted_draft_tokens, 6)
    assert.equal(last?.system_fingerprint, 'fp-test')
    assert.ok(messages.slice(0, -1).every((message) => message.usage === null && message.system_fingerprint === ''))
  })

  test('every field of a request arrives, zeros apart from absence', async () => {
    const sampling = {
      max_tokens: 9, min_tokens: 0, temperature: 0, top_p: 0.7, top_k: -1, min_p: 0, presence_penalty: 0.1, frequency_penalty: -0.1, repetition_penalty: 1.2,
      logit_bias: [{ key: 7, value: -5.5 }], seed: 2 ** 53 - 1, stop: ['END'], stop_token_ids: [2], ignore_eos: true, logprobs: 0, n: 2,
    }
    const request = { token_ids: { ids: [5, 6] }, sampling, slo: { ttft_ms: 100 }, priority: -3, cache_salt: 's', request_id: 'r2' }
    await ask(request, { 'x-llm-d-slo-tpot-ms': '20', 'x-slo-ttft-ms': '999', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' })
    assert.deepEqual(router.calls[0]?.request, {
      requestId: 'r2', model: 'tiny/chat', input: { kind: 'tokens', tokenIds: [5, 6] }, n: 2, stop: ['END'], slo: { ttftMs: 100, tpotMs: 20 }, priority: -3, cacheSalt: 's', remainingMs: null, echo: false, resumeFrom: null,
      trace: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: true },
      sampling: {
        maxTokens: 9, minTokens: 0, temperature: 0, topP: 0.7, topK: 0, minP: 0, presencePenalty: 0.1, frequencyPenalty: -0.1, repetitionPenalty: 1.2,
        logitBias: [[7, -5.5]], seed: 2 ** 53 - 1, stopTokenIds: [2], ignoreEos: true, logprobs: 0,
      },
    })
    await ask({ messages: { messages: [{ role: 'user', content: 'Hi', name: 'Ann' }, { role: 'assistant', content: 'x' }] } }, { 'x-request-id': 'from-metadata' })
    const bare = router.calls[1]?.request
    assert.deepEqual(bare?.input, { kind: 'chat', messages: [{ role: 'user', content: 'Hi', name: 'Ann' }, { role: 'assistant', content: 'x' }] })
    assert.equal(bare?.requestId, 'from-metadata')
    const { maxTokens, seed, temperature, topP, topK, logprobs } = bare?.sampling ?? {}
    assert.deepEqual([maxTokens, seed, temperature, topP, topK, logprobs], [null, null, null, null, null, null])
  })

  test('a resume names its request and where each choice goes on, 0 included', async () => {
    router.calls.length = 0
    await ask({ prompt: 'x', request_id: 'r3', resume_from_index: 0, sampling: { n: 2 } })
    await ask({ prompt: 'x', resume_from_index: 7 }, { 'x-request-id': 'r4' })
    await ask({ prompt: 'x', request_id: 'r5' }, { traceparent: '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01' })
    assert.deepEqual(router.calls.map(({ request }) => [request.requestId, request.resumeFrom, request.trace]), [['r3', [0, 0], null], ['r4', [7], null], ['r5', null, null]])
  })

  test('deltas of one tick leave as one message per choice, the last with usage', async () => {
    router.script = (call) => call.accept().delta('a', { tokenIds: [1] }).delta('B', { index: 1 }).delta('b', { tokenIds: [2], finish: 'stop' }).finish()
    const { messages } = await ask({ prompt: 'x', sampling: { n: 2 } })
    assert.deepEqual(messages.map(({ index, text, token_ids, usage }) => [index, text, token_ids, usage !== null]), [[0, 'ab', [1, 2], false], [1, 'B', [1], true]])
  })

  test('logprobs and stop reasons are carried', async () => {
    const bytes = Uint8Array.of(0xc3)
    router.script = (call) => call.accept().delta('x', { logprobs: [{ tokenId: 4, logprob: -0.25, rank: 2, bytes, top: [{ tokenId: 1, logprob: -0.125 }], topBytes: [bytes] }], finish: 'stop', stopReason: 'END' }).finish()
    const { messages } = await ask({ prompt: 'x' })
    assert.equal(messages[0]?.stop_string, 'END')
    const [entry] = messages[0]?.logprobs ?? []
    assert.deepEqual([entry?.token_id, entry?.logprob, entry?.rank, [...(entry?.token ?? [])], entry?.top[0]?.logprob], [4, -0.25, 2, [0xc3], -0.125])
  })

  test('broken rules are INVALID_ARGUMENT and name the field in BadRequest', async () => {
    const cases: readonly (readonly [object, string])[] = [
      [{}, 'input'], [{ prompt: 'x', sampling: { top_p: 2 } }, 'sampling.top_p'], [{ prompt: 'x', sampling: { max_tokens: 0 } }, 'sampling.max_tokens'], [{ prompt: 'x', sampling: { temperature: NaN } }, 'sampling.temperature'],
      [{ prompt: 'x', sampling: { stop: Array(17).fill('a') } }, 'sampling.stop'], [{ prompt: 'x', sampling: { n: 17 } }, 'sampling.n'], [{ prompt: 'x', sampling: { seed: '9007199254740993' } }, 'sampling.seed'],
      [{ prompt: 'x', sampling: { min_tokens: 3, max_tokens: 2 } }, 'sampling.min_tokens'], [{ prompt: 'x', sampling: { logprobs: 21 } }, 'sampling.logprobs'], [{ prompt: 'x', slo: { ttft_ms: 0 } }, 'slo.ttft_ms'],
      [{ prompt: 'x', response_format: { type: 'json_object' } }, 'response_format'], [{ prompt: 'x', resume_from_index: 4 }, 'request_id'], [{ token_ids: { ids: [] } }, 'token_ids'],
      [{ messages: { messages: [{ role: 'bot', content: 'x' }] } }, 'messages.messages[0].role'], [{ messages: {} }, 'messages'], [{ prompt: 'x', request_id: 'a b' }, 'request_id'],
    ]
    for (const [request, field] of cases) {
      const { status: end } = await ask(request)
      assert.equal(end.code, status.INVALID_ARGUMENT, field)
      assert.equal(errorDetailsOf(end.metadata)?.field, field)
    }
    const { status: end } = await ask({ prompt: 'x' }, { 'x-slo-ttft-ms': 'soon' })
    assert.deepEqual([end.code, errorDetailsOf(end.metadata)?.field], [status.INVALID_ARGUMENT, 'x-slo-ttft-ms'])
    assert.equal(router.calls.length, 0)
  })

  test('failures of the router keep their code, reason and retry hint', async () => {
    const codes = {
      not_found: status.NOT_FOUND, already_exists: status.ALREADY_EXISTS, resource_exhausted: status.RESOURCE_EXHAUSTED, deadline_exceeded: status.DEADLINE_EXCEEDED,
      cancelled: status.CANCELLED, unavailable: status.UNAVAILABLE, unauthenticated: status.UNAUTHENTICATED, internal: status.INTERNAL,
    } as const
    for (const code of Object.keys(codes) as (keyof typeof codes)[]) {
      router.script = (call) => call.fail({ code, message: 'naïve \ud800 reason', retryAfterMs: 1500, reason: 'why' })
      const { status: end } = await ask({ prompt: 'x', request_id: 'r3' })
      assert.deepEqual([end.code, end.details], [codes[code], 'naïve \ufffd reason'])
      assert.deepEqual(errorDetailsOf(end.metadata), { code: codes[code], message: 'naïve \ufffd reason', reason: 'why', field: null, retryAfterMs: 1500 })
      assert.deepEqual(end.metadata.get('x-request-id'), ['r3'])
    }
  })

  test('a late failure follows the deltas that came before it', async () => {
    router.script = (call) => call.accept().delta('some').fail({ code: 'internal', reason: 'request_quarantined' })
    const { messages, status: end } = await ask({ prompt: 'x' })
    assert.deepEqual([messages.map((message) => message.text), end.code, errorDetailsOf(end.metadata)?.reason], [['some'], status.INTERNAL, 'request_quarantined'])
  })

  test('cancelling the call cancels the request', async () => {
    router.script = (call) => call.accept().delta('first')
    const stream = startGenerate(client, { prompt: 'x' }, metadataOf())
    stream.on('error', () => {})
    await once(stream, 'data')
    stream.cancel()
    await (await router.call()).cancelled()
  })

  test('a lost connection cancels the request', async () => {
    router.script = (call) => call.accept().delta('first')
    const leaving = await discover(address, INFERENCE)
    const stream = startGenerate(leaving, { prompt: 'x' }, metadataOf())
    stream.on('error', () => {})
    await once(stream, 'data')
    leaving.close()
    stream.cancel()
    await (await router.call()).cancelled()
  })

  test('the deadline reaches the router and ends the call', async () => {
    router.script = (call) => call.accept()
    const { status: end } = await ask({ prompt: 'x' }, {}, { deadline: Date.now() + 60 })
    assert.equal(end.code, status.DEADLINE_EXCEEDED)
    const call = await router.call()
    assert.ok(call.request.remainingMs !== null && call.request.remainingMs <= 60)
    await call.cancelled()
  })

  test('a normal end cancels nothing', async () => {
    await ask({ prompt: 'x' })
    assert.equal(router.calls[0]?.isCancelled, false)
  })

  /** Reads one message and then no more: grpc-js holds the server back only once it has read something. */
  async function readOnce(reader: Client): Promise<{ stream: ReturnType<typeof startGenerate>; call: ScriptedCall }> {
    router.script = (call) => call.accept().delta('first ')
    const stream = startGenerate(reader, { prompt: 'x' }, metadataOf())
    stream.on('error', () => {})
    await once(stream, 'data')
    stream.pause()
    return { stream, call: await router.call() }
  }

  /** Sends numbered deltas, one per tick, until the door pauses them. Returns the texts sent. */
  async function flood(call: ScriptedCall): Promise<string[]> {
    const sent: string[] = []
    while (!call.isPaused) {
      const text = `${sent.length}:`.padEnd(32 * 1024, '.')
      sent.push(text)
      call.delta(text)
      await new Promise(setImmediate)
    }
    return sent
  }

  test('a client that stops reading pauses the request; reading on loses nothing', async () => {
    const { stream, call } = await readOnce(client)
    const sent = await flood(call)
    const outcome = outcomeOf(stream)
    stream.resume()
    await call.resumed()
    call.delta('held', { finish: 'length' }).finish()
    const { messages, status: end } = await outcome
    assert.equal(messages.map((message) => message.text).join(''), `${sent.join('')}held`)
    assert.equal(end.code, status.OK)
    assert.equal(call.isCancelled, false)
  })

  test('a client that reads no more is given up, and told so if it reads again', async () => {
    const strict = await startGrpcFrontDoor({ router, host: '127.0.0.1', port: 0, limits: { stallMs: 40 }, log: silentLog })
    const reader = await discover(`127.0.0.1:${strict.port}`, INFERENCE)
    const { stream, call } = await readOnce(reader)
    // The client's own buffers take some before it stops: keep its stream full until it is given up.
    while (!call.isCancelled) {
      if (!call.isPaused) call.delta('.'.repeat(32 * 1024))
      await new Promise(setImmediate)
    }
    const outcome = outcomeOf(stream)
    stream.resume()
    const { status: end } = await outcome
    assert.deepEqual([end.code, errorDetailsOf(end.metadata)?.reason], [status.CANCELLED, 'slow_reader'])
    reader.close()
    await strict.close(1000)
  })

  test('health follows readiness', async () => {
    const health = await discover(address, HEALTH)
    const check = (service: string) => unary<{ status: string }>(health, 'Check', { service }, metadataOf())
    assert.equal((await check('')).status, 'SERVING')
    assert.equal((await check(INFERENCE)).status, 'SERVING')
    router.isReady = false
    assert.equal((await check(INFERENCE)).status, 'NOT_SERVING')
    await assert.rejects(check('absent'), (error) => (error as ServiceError).code === status.NOT_FOUND)
    health.close()
  })

  test('tokenizer and models', async () => {
    const call = <T>(name: string, request: object) => unary<T>(client, name, request, metadataOf())
    assert.deepEqual(await call('Tokenize', { model: 'tiny/chat', text: 'Hi' }), { token_ids: [1, 72, 105], max_model_len: 2048 })
    assert.deepEqual(await call('Tokenize', { text: 'Hi', add_special_tokens: false }), { token_ids: [72, 105], max_model_len: 2048 })
    assert.deepEqual(await call('Detokenize', { token_ids: [72, 105] }), { text: 'Hi' })
    assert.deepEqual(await call('ListModels', {}), { models: [{ id: 'tiny/chat', max_model_len: 2048, created_s: 1_700_000_000 }] })
    await assert.rejects(call('Tokenize', { model: 'absent', text: 'x' }), (error) => (error as ServiceError).code === status.NOT_FOUND)
  })

  test('a message over 4 MiB is RESOURCE_EXHAUSTED', async () => {
    const { status: end } = await ask({ prompt: 'x'.repeat(4 * 1024 * 1024) })
    assert.equal(end.code, status.RESOURCE_EXHAUSTED)
  })

  test('an API key guards the service but not health', async () => {
    const guarded = await startGrpcFrontDoor({ router, host: '127.0.0.1', port: 0, apiKey: 'k', log: silentLog })
    const target = `127.0.0.1:${guarded.port}`
    const [inference, health] = [await discover(target, INFERENCE), await discover(target, HEALTH)]
    const codeOf = async (entries: Readonly<Record<string, string>>) => (await outcomeOf(startGenerate(inference, { prompt: 'x' }, metadataOf(entries)))).status.code
    assert.equal(await codeOf({}), status.UNAUTHENTICATED)
    assert.equal(await codeOf({ authorization: 'Bearer wrong' }), status.UNAUTHENTICATED)
    assert.equal(await codeOf({ authorization: 'Bearer k' }), status.OK)
    await assert.rejects(unary(inference, 'ListModels', {}, metadataOf()), (error) => (error as ServiceError).code === status.UNAUTHENTICATED)
    assert.deepEqual(await unary(health, 'Check', {}, metadataOf()), { status: 'SERVING' })
    inference.close()
    health.close()
    await guarded.close(1000)
  })

  test('a taken port names its flag', async () => {
    await assert.rejects(startGrpcFrontDoor({ router, host: '127.0.0.1', port: door.port, log: silentLog }), (error) => error instanceof RubatoError && error.code === 'address_in_use' && /--grpc-port/.test(error.message))
  })

  test('closing tells watchers, lets calls finish, and cancels what outlives the deadline', async () => {
    const closing = await startGrpcFrontDoor({ router, host: '127.0.0.1', port: 0, log: silentLog })
    const target = `127.0.0.1:${closing.port}`
    const [inference, health] = [await discover(target, INFERENCE), await discover(target, HEALTH)]
    const watch = (health as unknown as { Watch(request: object): NodeJS.ReadableStream }).Watch({})
    const seen: string[] = []
    watch.on('data', (update: { status: string }) => seen.push(update.status))
    watch.on('error', () => {})
    await once(watch, 'data')
    router.script = (call) => call.accept()
    const finishing = outcomeOf(startGenerate(inference, { prompt: 'x' }, metadataOf()))
    const call = await router.call()
    const closed = closing.close(60_000)
    call.delta('done', { finish: 'stop' }).finish()
    assert.equal((await finishing).status.code, status.OK)
    await closed
    assert.deepEqual(seen, ['SERVING', 'NOT_SERVING'])
    inference.close()
    health.close()

    router.calls.length = 0
    const forced = await startGrpcFrontDoor({ router, host: '127.0.0.1', port: 0, log: silentLog })
    const late = await discover(`127.0.0.1:${forced.port}`, INFERENCE)
    const cut = outcomeOf(startGenerate(late, { prompt: 'x' }, metadataOf()))
    const left = await router.call()
    await forced.close(1)
    await left.cancelled()
    assert.notEqual((await cut).status.code, status.OK)
    late.close()
  })
})
