import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientErrorCode } from '../client.ts'
import { codes, finishOf, MODEL, Rig } from './fixtures/router-rig.ts'
import { ROUTER_TIMING } from './state/messages.ts'
import type { RequestOverrides } from './fixtures/router-rig.ts'

function serving(config = {}): Rig {
  const rig = new Rig(config)
  rig.load('a')
  return rig
}

interface Refused {
  readonly what: string
  readonly request: RequestOverrides
  readonly code: ClientErrorCode
  readonly field: string | null
  readonly reason: string
  readonly message: RegExp
}

const long = 'x'.repeat(65)
const REFUSED: readonly Refused[] = [
  { what: 'an unknown model', request: { model: 'other' }, code: 'not_found', field: 'model', reason: 'model_not_found', message: /other.*tiny/ },
  { what: 'an empty prompt', request: { input: { kind: 'text', text: '' } }, code: 'invalid_argument', field: 'prompt', reason: 'invalid_argument', message: /no tokens/ },
  { what: 'no token ids', request: { input: { kind: 'tokens', tokenIds: [] } }, code: 'invalid_argument', field: 'token_ids', reason: 'invalid_argument', message: /no tokens/ },
  { what: 'a prompt past the context', request: { input: { kind: 'text', text: long } }, code: 'invalid_argument', field: 'prompt', reason: 'context_length_exceeded', message: /prompt has 65 tokens, but the context holds 64/ },
  { what: 'a prompt that fills the context', request: { input: { kind: 'text', text: long.slice(1) } }, code: 'invalid_argument', field: 'prompt', reason: 'context_length_exceeded', message: /no room/ },
  { what: 'prompt + max_tokens past the context', request: { sampling: { maxTokens: 63 } }, code: 'invalid_argument', field: 'sampling.max_tokens', reason: 'context_length_exceeded', message: /63.*2 tokens.*64.*62/ },
  { what: 'a token id outside the vocabulary', request: { input: { kind: 'tokens', tokenIds: [1, 256] } }, code: 'invalid_argument', field: 'token_ids', reason: 'invalid_argument', message: /256.*255/ },
  { what: 'n of 0', request: { n: 0 }, code: 'invalid_argument', field: 'sampling.n', reason: 'invalid_argument', message: /1 to 16/ },
  { what: 'n of 17', request: { n: 17 }, code: 'invalid_argument', field: 'sampling.n', reason: 'invalid_argument', message: /17/ },
  { what: '17 stop strings', request: { stop: Array.from({ length: 17 }, String) }, code: 'invalid_argument', field: 'sampling.stop', reason: 'invalid_argument', message: /17/ },
  { what: 'an empty stop string', request: { stop: [''] }, code: 'invalid_argument', field: 'sampling.stop', reason: 'invalid_argument', message: /empty/ },
  { what: 'a TTFT target of 0', request: { slo: { ttftMs: 0, tpotMs: null } }, code: 'invalid_argument', field: 'slo.ttft_ms', reason: 'invalid_argument', message: /positive/ },
  { what: 'a TPOT target below 0', request: { slo: { ttftMs: null, tpotMs: -1 } }, code: 'invalid_argument', field: 'slo.tpot_ms', reason: 'invalid_argument', message: /positive/ },
  { what: 'top_p out of range', request: { sampling: { topP: 2 } }, code: 'invalid_argument', field: 'sampling.top_p', reason: 'invalid_argument', message: /top_p/ },
  { what: 'max_tokens of 0', request: { sampling: { maxTokens: 0 } }, code: 'invalid_argument', field: 'sampling.max_tokens', reason: 'invalid_argument', message: /max_tokens/ },
  { what: 'a stop id outside the vocabulary', request: { sampling: { stopTokenIds: [999] } }, code: 'invalid_argument', field: 'sampling.stop_token_ids', reason: 'invalid_argument', message: /stop_token_ids/ },
  { what: 'a deadline that has passed', request: { remainingMs: 0 }, code: 'deadline_exceeded', field: null, reason: 'deadline_exceeded', message: /deadline/ },
]

for (const { what, request, code, field, reason, message } of REFUSED) {
  test(`${what} is refused as ${code}, naming ${field}`, () => {
    const rig = serving()
    const client = rig.submit(request)
    const error = rig.errorOf(client)
    assert.deepEqual({ code: error.code, field: error.field, reason: error.reason }, { code, field, reason })
    assert.match(error.message, message)
    assert.deepEqual(rig.kinds(client), ['failed'])
    assert.equal(rig.sent.length, 0)
    rig.assertEmpty()
  })
}

test('defaults are resolved: the model recommends, the context bounds, the seed was drawn outside', () => {
  const rig = serving()
  const client = rig.submit()
  assert.deepEqual(rig.eventsOf(client), [{ kind: 'accepted', promptTokens: 2 }])
  const { sampling, promptIds, emittedIds, recovered, remainingMs } = rig.generates('r1')[0]!.payload
  assert.deepEqual({ temperature: sampling.temperature, topP: sampling.topP, topK: sampling.topK }, { temperature: 0.5, topP: 1, topK: 7 })
  assert.deepEqual({ maxTokens: sampling.maxTokens, seed: sampling.seed }, { maxTokens: 62, seed: 42 })
  assert.deepEqual({ promptIds, emittedIds, recovered, remainingMs }, { promptIds: codes('hi'), emittedIds: [[]], recovered: false, remainingMs: null })
})

test('what the client gave wins over every default', () => {
  const rig = serving()
  rig.submit({ sampling: { temperature: 0, topP: 0.25, topK: 0, seed: 7, maxTokens: 62 } })
  const { temperature, topP, topK, seed, maxTokens } = rig.generates('r1')[0]!.payload.sampling
  assert.deepEqual({ temperature, topP, topK, seed, maxTokens }, { temperature: 0, topP: 0.25, topK: 0, seed: 7, maxTokens: 62 })
})

test('a plain prompt asks for special tokens, a chat brings its own, token ids need no tokenizer', () => {
  const rig = serving()
  rig.submit({ requestId: 'text' })
  rig.submit({ requestId: 'chat', input: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] } })
  rig.submit({ requestId: 'tokens', input: { kind: 'tokens', tokenIds: [5] } })
  assert.deepEqual(rig.tokenizing.map(({ input, addSpecialTokens }) => [input.kind, addSpecialTokens]), [['text', true], ['chat', false]])
  assert.deepEqual(rig.generates('tokens')[0]!.payload.promptIds, [5])
})

const TOKENIZE_FAILURES = [
  ['invalid_argument', 'invalid_argument', 'messages'], ['resource_exhausted', 'resource_exhausted', null], ['deadline_exceeded', 'deadline_exceeded', null],
  ['unavailable', 'unavailable', null], ['engine_failed', 'internal', 'messages'],
] as const
for (const [given, code, field] of TOKENIZE_FAILURES) {
  test(`a tokenizer that fails with ${given} fails the request with ${code}`, () => {
    const rig = serving()
    rig.isTokenizingAtOnce = false
    const client = rig.submit({ input: { kind: 'chat', messages: [] } })
    rig.complete(rig.tokenizing[0]!.id, 'tokenize', { kind: 'failed', error: { code: given, message: 'why', retryable: false } })
    assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).field, rig.errorOf(client).message], [code, field, 'why'])
    rig.assertEmpty()
  })
}

test('a shell that cannot tokenize more sends the client away with a hint', () => {
  const rig = serving()
  rig.isTokenizingAtOnce = false
  const client = rig.submit()
  rig.complete(rig.tokenizing[0]!.id, 'tokenize', { kind: 'rejected', reason: 'limit' })
  assert.equal(rig.errorOf(client).code, 'resource_exhausted')
  assert.equal(rig.errorOf(client).retryAfterMs, 1000)
})

test('a tokenizer that never answers is given up, and its late answer is a no-op', () => {
  const rig = serving()
  rig.isTokenizingAtOnce = false
  const client = rig.submit()
  rig.advance(ROUTER_TIMING.tokenizeTimeoutMs + 1)
  assert.equal(rig.errorOf(client).reason, 'tokenize_timeout')
  rig.complete(rig.tokenizing[0]!.id, 'tokenize', { kind: 'done', value: [1] })
  assert.deepEqual(rig.kinds(client), ['failed'])
  assert.equal(rig.generates('r1').length, 0)
  rig.assertEmpty()
})

test('without any instance ever, a request is refused as unavailable; with one gone, it waits', () => {
  const rig = new Rig()
  const early = rig.submit()
  assert.deepEqual([rig.errorOf(early).code, rig.errorOf(early).reason], ['unavailable', 'no_instance'])
  rig.load('a')
  rig.report({ kind: 'gone', instanceId: 'a', incarnation: 1, reason: 'crash' })
  const client = rig.submit()
  rig.advance(10_000)
  assert.deepEqual(rig.kinds(client), ['accepted'])
  rig.load('a', { incarnation: 2 })
  assert.equal(rig.generates('r1').length, 1)
})

test('a request that finds no instance within the limit fails as unavailable', () => {
  const rig = serving()
  rig.report({ kind: 'gone', instanceId: 'a', incarnation: 1, reason: 'crash' })
  const client = rig.submit()
  rig.advance(29_000)
  assert.deepEqual(rig.kinds(client), ['accepted'])
  rig.advance(2000)
  assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).reason], ['unavailable', 'no_instance'])
  rig.assertEmpty()
})

test('a live request id is taken, whatever the payload; a finished one is free', () => {
  const rig = serving()
  rig.submit()
  for (const request of [{}, { n: 2 }]) {
    const error = rig.errorOf(rig.submit(request))
    assert.deepEqual([error.code, error.field], ['already_exists', 'request_id'])
  }
  rig.tokens('r1', { tokenIds: [65], finish: finishOf('length') })
  assert.deepEqual(rig.kinds(rig.submit()), ['accepted'])
})

test('slots, then the line, then refusal with a hint; no accepted request is ever dropped', () => {
  const rig = serving({ maxConcurrentRequests: 2, queueSize: 1 })
  const clients = ['r1', 'r2', 'r3', 'r4'].map((requestId) => rig.submit({ requestId }))
  assert.deepEqual(clients.map((client) => rig.kinds(client)), [['accepted'], ['accepted'], [], ['failed']])
  const refused = rig.errorOf(clients[3]!)
  assert.deepEqual([refused.code, refused.reason, refused.retryAfterMs], ['resource_exhausted', 'queue_full', 1000])
  rig.tokens('r1', { tokenIds: [65], finish: finishOf('length') })
  assert.deepEqual(rig.kinds(clients[2]!), ['accepted'])
  assert.equal(rig.generates('r3').length, 1)
})

test('the hint of a refusal follows the rate of completions', () => {
  const rig = serving({ maxConcurrentRequests: 1, queueSize: 1 })
  for (let index = 0; index < 50; index += 1) {
    rig.submit({ requestId: `r${index}` })
    rig.advance(400)
    rig.tokens(`r${index}`, { tokenIds: [65], finish: finishOf('length') })
  }
  rig.submit({ requestId: 'runs' })
  rig.submit({ requestId: 'waits' })
  const { retryAfterMs } = rig.errorOf(rig.submit({ requestId: 'refused' }))
  assert.ok(retryAfterMs !== null && retryAfterMs > 350 && retryAfterMs < 450, `about 400 ms per completion, got ${retryAfterMs}`)
})

test('the line is served by priority, then arrival, and times out with a hint', () => {
  const rig = serving({ maxConcurrentRequests: 1, queueSize: 10 })
  rig.submit({ requestId: 'first' })
  const late = rig.submit({ requestId: 'late', priority: 1 })
  rig.submit({ requestId: 'urgent', priority: -1 })
  rig.submit({ requestId: 'second' })
  const order: string[] = []
  for (let current = 'first'; order.length < 3; ) {
    rig.tokens(current, { tokenIds: [65], finish: finishOf('length') })
    current = rig.sentOf('generate').at(-1)!.requestId
    order.push(current)
  }
  assert.deepEqual(order, ['urgent', 'second', 'late'])
  assert.deepEqual(rig.kinds(late), ['accepted'])
  const waits = rig.submit({ requestId: 'waits' })
  rig.advance(999)
  assert.deepEqual(rig.kinds(waits), [])
  rig.advance(1)
  assert.deepEqual([rig.errorOf(waits).code, rig.errorOf(waits).reason, rig.errorOf(waits).retryAfterMs], ['resource_exhausted', 'queue_timeout', 1000])
})

test('a client that leaves frees everything at once, whatever its request waits for', () => {
  const tokenizing = serving()
  tokenizing.isTokenizingAtOnce = false
  const queued = serving({ maxConcurrentRequests: 0 })
  const waiting = serving()
  waiting.report({ kind: 'gone', instanceId: 'a', incarnation: 1, reason: 'crash' })
  const dispatched = serving()
  const streaming = serving()
  for (const rig of [tokenizing, queued, waiting, dispatched, streaming]) {
    const client = rig.submit()
    if (rig === streaming) rig.tokens('r1', { tokenIds: [65] })
    const before = rig.eventsOf(client).length
    rig.receive({ kind: 'cancel', clientId: client })
    rig.receive({ kind: 'cancel', clientId: client })
    assert.equal(rig.eventsOf(client).length, before)
    assert.deepEqual(rig.sentOf('abort').map(({ sequence }) => sequence), rig.sentOf('generate').length > 0 ? [null] : [])
    rig.assertEmpty()
    rig.advance(1000)
    assert.equal(rig.numTimers, 0)
  }
})

test('a deadline ends the request in any state, after deltas too, and aborts it', () => {
  const rig = serving()
  const client = rig.submit({ remainingMs: 250 })
  assert.equal(rig.generates('r1')[0]!.payload.remainingMs, 250)
  rig.advance(100)
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.advance(149)
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta'])
  rig.advance(1)
  assert.equal(rig.errorOf(client).code, 'deadline_exceeded')
  assert.equal(rig.sentOf('abort').length, 1)
  rig.assertEmpty()
  const queued = serving({ maxConcurrentRequests: 0 })
  const waits = queued.submit({ remainingMs: 10 })
  queued.advance(10)
  assert.equal(queued.errorOf(waits).code, 'deadline_exceeded')
})

test('a draining router refuses what is new and finishes what is live', () => {
  const rig = serving()
  const live = rig.submit()
  rig.receive({ kind: 'drain' })
  assert.equal(rig.actor.canServe(), false)
  assert.deepEqual([rig.errorOf(rig.submit({ requestId: 'r2' })).code, rig.errorOf(2).reason], ['unavailable', 'draining'])
  rig.tokens('r1', { tokenIds: [65], finish: finishOf('length') })
  assert.deepEqual(rig.kinds(live), ['accepted', 'delta', 'finished'])
})

test('an empty model name means the first model; several models keep to their own instances', () => {
  const other = { ...MODEL, id: 'other', fingerprint: 'f2' }
  const rig = new Rig({}, [MODEL, other])
  rig.load('a')
  rig.load('b', { modelFingerprint: 'f2' })
  rig.submit({ requestId: 'r1', model: '' })
  rig.submit({ requestId: 'r2', model: 'other' })
  assert.equal(rig.generates('r1')[0]!.to, 'instance/a')
  assert.equal(rig.generates('r2')[0]!.to, 'instance/b')
})

test('a router announces itself at start', () => {
  const rig = new Rig({ helloTo: ['instance/a', 'instance/b'] })
  assert.deepEqual(rig.greeted, ['instance/a', 'instance/b'])
})
