import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GenerateMessage, LocatedMessage } from '@rubato/instance'
import { codes, EOS, FIRST_HALF, finishOf, requestOf, Rig, SECOND_HALF, WHOLE } from '../fixtures/router-rig.ts'
import type { RequestOverrides } from '../fixtures/router-rig.ts'
import { ROUTER_TIMING } from '../state/messages.ts'

function fleet(...instanceIds: string[]): Rig {
  const rig = new Rig()
  for (const instanceId of instanceIds) rig.load(instanceId)
  return rig
}

/** What a holder of the request as another router dispatched it answers to `locate`. */
function located(rig: Rig, instanceId: string, emittedIds: readonly (readonly number[])[], overrides: Partial<GenerateMessage> = {}, more: Partial<LocatedMessage> = {}): void {
  const other = fleet('x')
  other.submit({ n: emittedIds.length })
  const request = { ...other.generates('r1')[0]!.payload, epoch: { recovery: 7, hop: 1 }, ...overrides, emittedIds }
  rig.report({ kind: 'located', instanceId, incarnation: 1, request, epoch: request.epoch, router: 'router/dead', ...more })
}

const attaches = (rig: Rig): unknown[] => rig.sent.flatMap(({ to, payload }) => (payload.kind === 'attach' ? [[to, payload.epoch, payload.fromIndices]] : []))
const attached = (rig: Rig): { recovery: number; hop: number } => rig.sentOf('attach').at(-1)!.epoch

test('a request that an instance holds is attached above its epoch, and goes on at the client\'s index', () => {
  const rig = fleet('a', 'b')
  const client = rig.submit({ resumeFrom: [2] })
  assert.deepEqual(rig.sent.map(({ to, payload }) => [to, payload.kind]), [['instance/a', 'locate'], ['instance/b', 'locate']])
  located(rig, 'b', [codes('ABCD')])
  assert.deepEqual(rig.kinds(client), [])
  rig.advance(ROUTER_TIMING.locateGraceMs)
  // The last known token comes again, with whatever the instance says of its end.
  assert.deepEqual(attaches(rig), [['instance/b', { recovery: 8, hop: 0 }, [3]]])
  assert.deepEqual([rig.kinds(client), rig.text(client)], [['accepted', 'delta'], 'C'])
  rig.tokens('r1', { epoch: attached(rig), firstIndex: 3, tokenIds: codes('DE'), finish: finishOf('length') }, { instanceId: 'b' })
  assert.deepEqual([rig.text(client), rig.tokenIds(client)], ['CDE', codes('CDE')])
  const last = rig.eventsOf(client).at(-1)!
  assert.ok(last.kind === 'finished')
  assert.deepEqual(last.usage, { promptTokens: 2, cachedTokens: 2, completionTokens: 5 })
  assert.equal(rig.generates('r1').length, 0)
  rig.advance(100)
  rig.assertEmpty()
})

test('when every instance has answered there is nothing to wait for; of several the highest epoch counts', () => {
  const rig = fleet('a', 'b')
  rig.submit({ resumeFrom: [0] })
  located(rig, 'a', [codes('A')], { epoch: { recovery: 7, hop: 2 } })
  located(rig, 'b', [codes('AB')], { epoch: { recovery: 7, hop: 1 } })
  assert.deepEqual(attaches(rig), [['instance/a', { recovery: 8, hop: 0 }, [0]]])
})

test('nobody knows it: it is computed anew, and what the client has is not told again', () => {
  const rig = fleet('a')
  const client = rig.submit({ resumeFrom: [2] })
  rig.advance(ROUTER_TIMING.locateMs - 1)
  assert.equal(rig.generates('r1').length, 0)
  rig.advance(1)
  assert.deepEqual(rig.generates('r1').map(({ payload }) => [payload.emittedIds, payload.sampling.seed]), [[[[]], 42]])
  rig.tokens('r1', { tokenIds: codes('A') })
  assert.deepEqual(rig.kinds(client), ['accepted'])
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('BCD') })
  rig.tokens('r1', { firstIndex: 4, tokenIds: codes('E'), finish: finishOf('length') })
  assert.deepEqual([rig.text(client), rig.tokenIds(client), rig.kinds(client).at(-1)], ['CDE', codes('CDE'), 'finished'])
  const last = rig.eventsOf(client).at(-1)!
  assert.ok(last.kind === 'finished' && last.usage.completionTokens === 5)
})

test('what a drawn seed sampled is never continued by other tokens', () => {
  const ask = (overrides: RequestOverrides): Rig => {
    const rig = fleet('a')
    rig.receive({ kind: 'submit', clientId: 1, request: requestOf(overrides), seedIfNone: 5, isSeedDrawn: true })
    rig.advance(ROUTER_TIMING.locateMs)
    return rig
  }
  const refused = ask({ resumeFrom: [2] })
  assert.deepEqual([refused.errorOf(1).code, refused.errorOf(1).field], ['not_found', 'request_id'])
  refused.assertEmpty()
  const fine: readonly RequestOverrides[] = [{ resumeFrom: [0] }, { resumeFrom: [2], sampling: { seed: 5 } }, { resumeFrom: [2], sampling: { temperature: 0 } }]
  for (const overrides of fine) assert.equal(ask(overrides).generates('r1').length, 1, JSON.stringify(overrides))
})

test('a router that has just begun asks the instances that it hears of, and without any the request waits for one', () => {
  const asking = fleet()
  asking.submit({ resumeFrom: [1] })
  asking.load('a')
  assert.deepEqual(asking.sent.map(({ to, payload }) => [to, payload.kind]), [['instance/a', 'locate']])
  located(asking, 'a', [codes('AB')])
  assert.equal(asking.sentOf('attach').length, 1)
  const waiting = fleet()
  const client = waiting.submit({ resumeFrom: [1] })
  waiting.advance(ROUTER_TIMING.locateMs)
  assert.deepEqual(waiting.kinds(client), ['accepted'])
  waiting.load('a')
  assert.equal(waiting.generates('r1').length, 1)
})

test('a parameter that only a router of another minor version knows does not make it another request', () => {
  const rig = fleet('a')
  rig.submit({ resumeFrom: [0] })
  const other = fleet('x')
  other.submit()
  const { sampling } = other.generates('r1')[0]!.payload
  located(rig, 'a', [codes('A')], { sampling: { ...sampling, laterParameter: 1 } as GenerateMessage['sampling'] })
  assert.equal(rig.sentOf('attach').length, 1)
})

const OTHERS: readonly (readonly [string, RequestOverrides, Partial<GenerateMessage>])[] = [
  ['another prompt', { resumeFrom: [0] }, { promptIds: codes('ho') }],
  ['another salt', { resumeFrom: [0] }, { cacheSalt: 's' }],
  ['another number of choices', { resumeFrom: [0, 0], n: 2 }, {}],
  ['other parameters', { resumeFrom: [0], sampling: { maxTokens: 9 } }, {}],
  ['another seed than the client\'s', { resumeFrom: [0], sampling: { seed: 43 } }, {}],
]
for (const [what, request, held] of OTHERS) {
  test(`an id that belongs to a request with ${what} is taken`, () => {
    const rig = fleet('a')
    const client = rig.submit(request)
    located(rig, 'a', [codes('A')], held)
    assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).field], ['already_exists', 'request_id'])
    assert.equal(rig.sentOf('attach').length, 0)
    rig.assertEmpty()
  })
}

test('a seed that the client never gave is the holder\'s, in a recovery too', () => {
  const rig = fleet('a')
  rig.submit({ resumeFrom: [0] })
  const other = fleet('x')
  other.submit()
  const { sampling } = other.generates('r1')[0]!.payload
  located(rig, 'a', [codes('AB')], { sampling: { ...sampling, seed: 977 } })
  rig.load('b')
  rig.report({ kind: 'gone', instanceId: 'a', incarnation: 1, reason: 'crash' })
  const [generate] = rig.generates('r1')
  assert.deepEqual([generate!.to, generate!.payload.sampling.seed, generate!.payload.emittedIds, generate!.payload.recovered], ['instance/b', 977, [codes('A')], true])
})

test('the holder forgot it meanwhile: it is computed anew from what was known', () => {
  const rig = fleet('a')
  const client = rig.submit({ resumeFrom: [1] })
  located(rig, 'a', [codes('ABC')])
  rig.report({ kind: 'refused', instanceId: 'a', requestId: 'r1', epoch: attached(rig), reason: 'superseded', message: '', retryAfterMs: null, heldEpoch: null })
  assert.deepEqual(rig.generates('r1').map(({ payload }) => payload.emittedIds), [[codes('AB')]])
  rig.tokens('r1', { firstIndex: 2, tokenIds: codes('CD'), finish: finishOf('length') })
  assert.equal(rig.text(client), 'BCD')
})

test('of two routers that resume the same request the later one has it', () => {
  const rig = fleet('a')
  const client = rig.submit({ resumeFrom: [1] })
  located(rig, 'a', [codes('AB')])
  rig.report({ kind: 'refused', instanceId: 'a', requestId: 'r1', epoch: attached(rig), reason: 'superseded', message: '', retryAfterMs: null, heldEpoch: { recovery: 30, hop: 0 } })
  located(rig, 'a', [codes('ABC')], { epoch: { recovery: 30, hop: 0 } })
  assert.equal(attached(rig).recovery, 31)
  rig.tokens('r1', { epoch: attached(rig), firstIndex: 1, tokenIds: codes('BC'), finish: finishOf('length') }, { instanceId: 'a' })
  assert.equal(rig.text(client), 'BC')
})

test('a client that has everything hears the end again and nothing else', () => {
  const rig = fleet('a')
  const client = rig.submit({ resumeFrom: [3] })
  located(rig, 'a', [[...codes('AB'), EOS]], { finishedSequences: [0] })
  assert.deepEqual(rig.sentOf('attach')[0]!.fromIndices, [2])
  rig.tokens('r1', { epoch: attached(rig), firstIndex: 2, tokenIds: [EOS], finish: finishOf('stop', EOS) }, { instanceId: 'a' })
  assert.deepEqual(rig.deltas(client).map(({ text, tokenIds, finish }) => [text, tokenIds, finish]), [['', [], 'stop']])
  const last = rig.eventsOf(client).at(-1)!
  assert.ok(last.kind === 'finished' && last.usage.completionTokens === 3)
})

test('a choice that the former router cut at a stop string ends here too, and its holder is told', () => {
  const rig = fleet('a')
  const client = rig.submit({ resumeFrom: [2], stop: ['C'] })
  located(rig, 'a', [codes('ABCDE')])
  assert.deepEqual([rig.text(client), rig.tokenIds(client), rig.kinds(client).at(-1)], ['', codes('C'), 'finished'])
  assert.deepEqual(rig.sentOf('abort').map(({ epoch, sequence }) => [epoch.recovery, sequence]), [[8, null]])
  rig.assertEmpty()
  const two = fleet('a')
  two.submit({ n: 2, resumeFrom: [2, 0], stop: ['C'] })
  located(two, 'a', [codes('ABCDE'), codes('x')])
  assert.deepEqual(two.sentOf('abort').map(({ epoch, sequence }) => [epoch.recovery, sequence]), [[8, 0]])
})

test('a choice whose tokens its holder dropped for the former router is computed again, the others go on from what is known', () => {
  const rig = fleet('a')
  const client = rig.submit({ n: 2, resumeFrom: [3, 1], stop: ['C'] })
  located(rig, 'a', [[], codes('xyz')], { finishedSequences: [0] })
  assert.deepEqual(rig.sent.slice(-2).map(({ payload }) => payload.kind), ['abort', 'generate'])
  assert.deepEqual(rig.generates('r1')[0]!.payload.emittedIds, [[], codes('xy')])
  rig.tokens('r1', { tokenIds: codes('ABC') })
  rig.tokens('r1', { sequence: 1, firstIndex: 2, tokenIds: codes('z'), finish: finishOf('length') })
  assert.deepEqual([rig.text(client, 0), rig.text(client, 1), rig.deltas(client, 0).at(-1)!.finish, rig.kinds(client).at(-1)], ['', 'yz', 'stop', 'finished'])
})

test('text belongs to its tokens: half a character and the beginning of a stop string are not told twice', () => {
  const halves = fleet('a')
  const client = halves.submit({ resumeFrom: [2] })
  located(halves, 'a', [[65, FIRST_HALF, SECOND_HALF, 66]])
  assert.equal(halves.text(client), WHOLE)
  const stops = fleet('a')
  const second = stops.submit({ resumeFrom: [3], stop: ['STOP'] })
  located(stops, 'a', [codes('aST')])
  stops.tokens('r1', { epoch: attached(stops), firstIndex: 2, tokenIds: codes('TxS'), finish: finishOf('length') }, { instanceId: 'a' })
  assert.deepEqual([stops.text(second), stops.tokenIds(second)], ['STxS', codes('xS')])
})

test('with logprobs everything comes again from the instance, and only what is wanted is told', () => {
  const rig = fleet('a')
  const client = rig.submit({ resumeFrom: [1], sampling: { logprobs: 0 } })
  const other = fleet('x')
  other.submit({ sampling: { logprobs: 0 } })
  located(rig, 'a', [codes('ABC')], { sampling: other.generates('r1')[0]!.payload.sampling })
  assert.deepEqual(rig.sentOf('attach')[0]!.fromIndices, [0])
  const logprobs = codes('ABC').map((tokenId) => ({ tokenId, logprob: -1, rank: 1, top: [] }))
  rig.tokens('r1', { epoch: attached(rig), tokenIds: codes('ABC'), logprobs, finish: finishOf('length') }, { instanceId: 'a' })
  assert.deepEqual(rig.deltas(client).map((delta) => [delta.text, delta.logprobs?.map(({ tokenId }) => tokenId)]), [['BC', codes('BC')]])
})

test('while a request is handed over its taker is its partner: a cancel reaches both', () => {
  const rig = fleet('a', 'b')
  const client = rig.submit({ resumeFrom: [0] })
  located(rig, 'a', [codes('A')], { epoch: { recovery: 7, hop: 0 }, handOffTo: { instanceId: 'b', address: 'instance/b' } })
  rig.advance(ROUTER_TIMING.locateGraceMs)
  rig.receive({ kind: 'cancel', clientId: client })
  assert.deepEqual(rig.sent.flatMap(({ to, payload }) => (payload.kind === 'abort' ? [to] : [])), ['instance/a', 'instance/b'])
  rig.assertEmpty()
})

test('a found request passes the line, one that nobody knows waits its turn or is refused like any other', () => {
  const rig = new Rig({ maxConcurrentRequests: 1, queueSize: 1 })
  rig.load('a')
  for (const requestId of ['x1', 'x2']) rig.submit({ requestId })
  const found = rig.submit({ resumeFrom: [0] })
  located(rig, 'a', [codes('A')])
  assert.deepEqual(rig.kinds(found), ['accepted'])
  const unknown = rig.submit({ requestId: 'r2', resumeFrom: [0] })
  rig.advance(ROUTER_TIMING.locateMs)
  assert.deepEqual([rig.errorOf(unknown).code, rig.errorOf(unknown).reason], ['resource_exhausted', 'queue_full'])
})

test('while it is looked for, a request can be cancelled, its deadline holds, and its id is taken', () => {
  const rig = fleet('a')
  const client = rig.submit({ resumeFrom: [0], remainingMs: 300 })
  assert.equal(rig.errorOf(rig.submit({})).code, 'already_exists')
  rig.advance(300)
  assert.equal(rig.errorOf(client).code, 'deadline_exceeded')
  const other = rig.submit({ resumeFrom: [0] })
  rig.receive({ kind: 'cancel', clientId: other })
  located(rig, 'a', [codes('A')])
  assert.equal(rig.sentOf('attach').length, 0)
  rig.assertEmpty()
  rig.advance(1000)
  assert.equal(rig.numTimers, 0)
})

test('an answer of an instance that was lost meanwhile does not count', () => {
  const rig = fleet('a', 'b')
  rig.submit({ resumeFrom: [0] })
  located(rig, 'a', [codes('A')])
  rig.receive({ kind: 'member-lost', address: 'instance/a' })
  rig.advance(ROUTER_TIMING.locateMs)
  assert.deepEqual([rig.sentOf('attach').length, rig.generates('r1').map(({ to }) => to)], [0, ['instance/b']])
})

const BAD: readonly (readonly number[])[] = [[], [0, 0], [-1], [0.5], [NaN]]
for (const resumeFrom of BAD) {
  test(`resuming from [${resumeFrom.join(', ')}] is refused by name`, () => {
    const rig = fleet('a')
    const error = rig.errorOf(rig.submit({ resumeFrom }))
    assert.deepEqual([error.code, error.field], ['invalid_argument', 'resume_from_index'])
  })
}

test('a draining router sends new resumes elsewhere', () => {
  const rig = fleet('a')
  rig.receive({ kind: 'drain' })
  assert.equal(rig.errorOf(rig.submit({ resumeFrom: [0] })).reason, 'draining')
})

// Live on this very router.

test('a client that comes back by another connection takes the old one\'s place, at its own index', () => {
  const rig = fleet('a')
  const first = rig.submit({ n: 2 })
  rig.tokens('r1', { tokenIds: codes('ABC') })
  rig.tokens('r1', { sequence: 1, tokenIds: codes('xy'), finish: finishOf('length') })
  rig.receive({ kind: 'drain' })
  const second = rig.submit({ n: 2, resumeFrom: [1, 0], remainingMs: 400 })
  assert.deepEqual([rig.errorOf(first).code, rig.errorOf(first).reason], ['cancelled', 'superseded'])
  assert.deepEqual([0, 1].flatMap((choice) => rig.deltas(second, choice)).map(({ index, text, tokenIds, finish }) => [index, text, tokenIds, finish]), [[0, 'BC', codes('BC'), null], [1, 'xy', codes('xy'), 'length']])
  rig.receive({ kind: 'cancel', clientId: first })
  rig.tokens('r1', { firstIndex: 3, tokenIds: codes('D'), finish: finishOf('length') })
  assert.deepEqual([rig.text(second, 0), rig.kinds(second).at(-1), rig.kinds(first).filter((kind) => kind === 'failed').length], ['BCD', 'finished', 1])
  assert.deepEqual([rig.sentOf('locate').length, rig.generates('r1').length], [0, 1])
  rig.advance(500)
  rig.assertEmpty()
})

test('the old connection was paused: what was held for it is not lost to the new one', () => {
  const rig = fleet('a')
  const first = rig.submit({ stop: ['STOP'], sampling: { logprobs: 0 } })
  const logprobs = (text: string) => codes(text).map((tokenId) => ({ tokenId, logprob: -1, rank: 1, top: [] }))
  rig.tokens('r1', { tokenIds: codes('aS'), logprobs: logprobs('aS') })
  rig.receive({ kind: 'pause', clientId: first })
  rig.tokens('r1', { firstIndex: 2, tokenIds: codes('TxS'), logprobs: logprobs('TxS') })
  const second = rig.submit({ stop: ['STOP'], sampling: { logprobs: 0 }, resumeFrom: [2] })
  assert.deepEqual(rig.deltas(second).map((delta) => [delta.text, delta.tokenIds, delta.logprobs?.length]), [['STx', codes('TxS'), 3]])
  rig.tokens('r1', { firstIndex: 5, tokenIds: codes('TOP'), logprobs: logprobs('TOP') })
  assert.deepEqual([rig.text(second), rig.deltas(second).at(-1)!.stopReason, rig.kinds(second).at(-1)], ['STx', 'STOP', 'finished'])
})

test('a client ahead of this router waits for what it lacks', () => {
  const rig = fleet('a')
  rig.submit()
  rig.tokens('r1', { tokenIds: codes('A') })
  const second = rig.submit({ resumeFrom: [3] })
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('BCDE'), finish: finishOf('length') })
  assert.deepEqual([rig.text(second), rig.tokenIds(second)], ['DE', codes('DE')])
})

test('coming back before admission, and before any token, with echo', () => {
  const rig = new Rig({ maxConcurrentRequests: 1 })
  rig.load('a')
  rig.submit({ requestId: 'other' })
  rig.submit({ echo: true })
  const queued = rig.submit({ echo: true, resumeFrom: [0] })
  rig.tokens('other', { tokenIds: codes('A'), finish: finishOf('length') })
  const placed = rig.submit({ echo: true, resumeFrom: [0] })
  rig.tokens('r1', { tokenIds: codes('A') })
  const running = rig.submit({ echo: true, resumeFrom: [0] })
  const later = rig.submit({ echo: true, resumeFrom: [1] })
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B'), finish: finishOf('length') })
  assert.deepEqual([queued, placed, running, later].map((client) => rig.text(client)), ['', 'hiA', 'hiA', 'B'])
})

test('a live id with another payload stays taken, resumed or not', () => {
  const rig = fleet('a')
  const first = rig.submit()
  const changed: readonly RequestOverrides[] = [{ input: { kind: 'text', text: 'ho' } }, { sampling: { temperature: 1 } }, { stop: ['x'] }, { n: 2, resumeFrom: [0, 0] }, { cacheSalt: 's' }, { echo: true }]
  for (const overrides of changed) assert.equal(rig.errorOf(rig.submit({ resumeFrom: [0], ...overrides })).code, 'already_exists', JSON.stringify(overrides))
  assert.equal(rig.errorOf(rig.submit()).code, 'already_exists')
  rig.tokens('r1', { tokenIds: codes('A'), finish: finishOf('length') })
  assert.equal(rig.kinds(first).at(-1), 'finished')
})
