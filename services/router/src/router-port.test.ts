import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ActorHost, DONE, timerPort } from '@rubato/actor'
import { InvalidArgument, RubatoError } from '@rubato/config'
import type { GenerateMessage, InstanceMessage } from '@rubato/instance'
import { validateSampling } from '@rubato/model/sampling'
import { idleLoad, manualScheduler } from '@rubato/testing'
import { leastLoaded } from './actor/fixtures/least-loaded.ts'
import { codes, finishOf, MODEL, requestOf } from './actor/fixtures/router-rig.ts'
import { RouterActor } from './actor/router-actor.ts'
import { ROUTER_TIMING } from './actor/state/messages.ts'
import type { FrontDoorMessage } from './actor/state/messages.ts'
import type { ClientEvent } from './client.ts'
import { createRouterPort } from './router-port.ts'
import type { PromptText } from './router-port.ts'

const text: PromptText = {
  async encode(given) {
    if (given === 'bad') throw new InvalidArgument('prompt', 'holds a lone surrogate')
    return codes(given)
  },
  renderAndEncode: async (messages) => codes(messages.map(({ content }) => content).join('|')),
  decode: async (tokenIds) => String.fromCharCode(...Array.from(tokenIds)),
}

function liveRouter() {
  const config = { maxConcurrentRequests: 10, queueSize: 10, queueTimeoutMs: 1000, migrationLimit: 3, dispatch: leastLoaded, helloTo: ['instance/a'], timing: ROUTER_TIMING }
  const actor = new RouterActor({ config, models: [MODEL], validateSampling })
  const sent: InstanceMessage[] = []
  const sinkErrors: unknown[] = []
  const { port, effects } = createRouterPort({
    post: (message) => host.deliver('front', message),
    canServe: () => actor.canServe(),
    models: [MODEL],
    textOf: () => text,
    onSinkError: (error) => sinkErrors.push(error),
  })
  const scheduler = manualScheduler()
  const send = { limit: 1000, perform: (effect: unknown, run: { complete(outcome: typeof DONE): void }) => {
    sent.push((effect as { payload: InstanceMessage }).payload)
    run.complete(DONE)
  } }
  const crashes: unknown[] = []
  const host: ActorHost = new ActorHost({ actor, scheduler, effects: { ...effects, send, timer: timerPort(scheduler, 8) }, onCrash: (error) => crashes.push(error) })
  host.start()
  const load = (): void => host.deliver('instance/a', idleLoad('a'))
  const generates = (): GenerateMessage[] => sent.filter((message) => message.kind === 'generate')
  const tokens = (tokenIds: readonly number[], isLast: boolean): void => host.deliver('instance/a', {
    kind: 'tokens', instanceId: 'a', incarnation: 1,
    runs: [{ ...generates().at(-1)!, sequence: 0, firstIndex: 0, tokenIds, logprobs: null, finish: isLast ? finishOf('length') : null }],
  })
  return { port, actor, sent, sinkErrors, crashes, load, generates, tokens }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a request goes through the host and back; nothing is heard before submit returned', async () => {
  const { port, load, generates, tokens, crashes } = liveRouter()
  const events: ClientEvent[] = []
  port.submit(requestOf(), (event) => events.push(event))
  assert.equal(events.length, 0)
  await settled()
  assert.equal(events[0]?.kind, 'failed')
  load()
  events.length = 0
  port.submit(requestOf(), (event) => events.push(event))
  await settled()
  tokens(codes('A'), true)
  assert.deepEqual(events.map(({ kind }) => kind), ['accepted', 'delta', 'finished'])
  const { seed } = generates()[0]!.sampling
  assert.ok(Number.isSafeInteger(seed) && seed >= 0)
  assert.deepEqual(crashes, [])
})

test('a seed follows from the request id, so that any router has the same, unless the client gave one', async () => {
  const { port, load, generates } = liveRouter()
  load()
  for (const [index, seed] of [null, null, 5].entries()) port.submit(requestOf({ requestId: `r${index}`, sampling: { seed } }), () => {})
  await settled()
  const [first, second, third] = generates().map(({ sampling }) => sampling.seed)
  assert.notEqual(first, second)
  assert.equal(third, 5)
  const other = liveRouter()
  other.load()
  other.port.submit(requestOf({ requestId: 'r1' }), () => {})
  await settled()
  assert.equal(other.generates()[0]!.sampling.seed, second)
})

test('a trace begins here or under the client\'s span, as the source decides', async () => {
  const submitted: FrontDoorMessage[] = []
  const asked: (boolean | null)[] = []
  const open = (shouldTrace: boolean) => createRouterPort({
    post: (message) => submitted.push(message), canServe: () => true, models: [MODEL], textOf: () => text, onSinkError: () => {},
    traceSource: { shouldTrace: (sampled) => { asked.push(sampled); return shouldTrace }, newTraceId: () => 't', newSpanId: () => 's' },
  }).port
  const parent = { traceId: 'pt', spanId: 'ps', sampled: false }
  const handles = [open(true).submit(requestOf(), () => {}), open(true).submit(requestOf({ trace: parent }), () => {}), open(false).submit(requestOf({ trace: parent }), () => {})]
  await settled()
  assert.deepEqual(asked, [null, false, false])
  assert.deepEqual(submitted.map((message) => message.kind === 'submit' && message.trace), [{ traceId: 't', spanId: 's', parentSpanId: null }, { traceId: 'pt', spanId: 's', parentSpanId: 'ps' }, undefined])
  assert.deepEqual(handles.map(({ trace }) => trace?.traceId), ['t', 'pt', undefined])
})

test('a sink that throws is cut off and its request cancelled; others go on', async () => {
  const { port, load, sinkErrors, sent, actor } = liveRouter()
  load()
  const good: ClientEvent[] = []
  let numCalls = 0
  port.submit(requestOf({ requestId: 'bad' }), () => {
    numCalls += 1
    throw new Error('broken pipe')
  })
  port.submit(requestOf({ requestId: 'good' }), (event) => good.push(event))
  await settled()
  assert.deepEqual([numCalls, sinkErrors.length, good.map(({ kind }) => kind)], [1, 1, ['accepted']])
  assert.deepEqual(sent.filter(({ kind }) => kind === 'abort').map((message) => message.kind === 'abort' && message.requestId), ['bad'])
  assert.equal(actor.snapshot().numLive, 1)
})

test('cancelling at once, twice and from inside the sink is safe, and nothing more is heard', async () => {
  const { port, load, tokens, actor } = liveRouter()
  load()
  const early: ClientEvent[] = []
  const handle = port.submit(requestOf({ requestId: 'early' }), (event) => early.push(event))
  handle.cancel()
  handle.cancel()
  const inside: ClientEvent[] = []
  const within = port.submit(requestOf({ requestId: 'inside' }), (event) => {
    inside.push(event)
    if (event.kind === 'delta') within.cancel()
  })
  await settled()
  tokens(codes('A'), false)
  tokens(codes('AB'), false)
  await settled()
  assert.deepEqual([early.length, inside.map(({ kind }) => kind)], [0, ['accepted', 'delta']])
  assert.equal(actor.snapshot().numLive, 0)
})

test('pause and resume reach the actor', async () => {
  const { port, load, tokens } = liveRouter()
  load()
  const events: ClientEvent[] = []
  const handle = port.submit(requestOf(), (event) => events.push(event))
  await settled()
  handle.pause()
  await settled()
  tokens(codes('AB'), true)
  assert.deepEqual(events.map(({ kind }) => kind), ['accepted'])
  handle.resume()
  await settled()
  assert.deepEqual(events.map(({ kind }) => kind), ['accepted', 'delta', 'finished'])
})

test('a prompt that cannot be tokenised names its field', async () => {
  const { port, load } = liveRouter()
  load()
  const events: ClientEvent[] = []
  port.submit(requestOf({ input: { kind: 'text', text: 'bad' } }), (event) => events.push(event))
  await settled()
  const last = events.at(-1)!
  assert.ok(last.kind === 'failed')
  assert.deepEqual([last.error.code, last.error.field], ['invalid_argument', 'prompt'])
})

test('tokenize, detokenize, models and ready speak for the served models only', async () => {
  const { port, load } = liveRouter()
  assert.equal(port.ready(), false)
  load()
  assert.equal(port.ready(), true)
  assert.deepEqual(port.models(), [{ id: 'tiny', maxModelLen: 64, createdS: 1 }])
  assert.deepEqual(await port.tokenize('tiny', { kind: 'text', text: 'AB' }, true), [65, 66])
  assert.deepEqual(await port.tokenize('', { kind: 'chat', messages: [{ role: 'user', content: 'A' }] }, true), [65])
  assert.equal(await port.detokenize('tiny', [65, 66]), 'AB')
  const isNotFound = (error: unknown): boolean => error instanceof RubatoError && error.code === 'not_found' && error.field === 'model'
  await assert.rejects(port.tokenize('other', { kind: 'text', text: '' }, true), isNotFound)
  await assert.rejects(port.detokenize('other', []), isNotFound)
  await assert.rejects(port.detokenize('tiny', [256]), /vocabulary/)
})
