import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DispatchInstance, DispatchRequest } from '@rubato/policy'
import { pairing } from '../fixtures/least-loaded.ts'
import { codes, finishOf, Rig } from '../fixtures/router-rig.ts'
import type { RequestOverrides } from '../fixtures/router-rig.ts'

/** Prefill instance p and decode instance d, which ship KV, and a request given to both. */
function pair(request: RequestOverrides = {}): { rig: Rig; client: number } {
  const rig = new Rig({ dispatch: pairing })
  rig.load('p', { role: 'prefill', kvAddress: 'h:1' })
  rig.load('d', { role: 'decode', kvAddress: 'h:2' })
  return { rig, client: rig.submit(request) }
}

function handOver(rig: Rig, tokens: { firstIndex: number; text: string; isLast?: boolean }): void {
  const { epoch } = rig.generates('r1').at(-1)!.payload
  rig.tokens('r1', { epoch: { ...epoch, hop: 1 }, firstIndex: tokens.firstIndex, tokenIds: codes(tokens.text), finish: tokens.isLast === true ? finishOf('length') : null }, { instanceId: 'd' })
}

const abortsOf = (rig: Rig): string[] => rig.sent.filter(({ payload }) => payload.kind === 'abort').map(({ to }) => to.replace('instance/', ''))
const placesOf = (rig: Rig): string[] => rig.generates('r1').map(({ to }) => to.replace('instance/', ''))
const gone = (rig: Rig, instanceId: string, incarnation = 1): void => rig.report({ kind: 'gone', instanceId, incarnation, reason: 'crash' })

test('a source that has forgotten the request handed it over: the taker has it', () => {
  const { rig, client } = pair()
  rig.tokens('r1', { tokenIds: codes('A') })
  const { epoch } = rig.generates('r1').at(-1)!.payload
  rig.report({ kind: 'refused', instanceId: 'p', requestId: 'r1', epoch, reason: 'superseded', message: '', retryAfterMs: null, heldEpoch: null })
  assert.deepEqual(placesOf(rig), ['p'])
  handOver(rig, { firstIndex: 1, text: 'B', isLast: true })
  assert.deepEqual([rig.text(client), rig.kinds(client).at(-1)], ['AB', 'finished'])
})

test('a pair: the prefill instance is told whom to hand over to, and owns the request until the other speaks', () => {
  const { rig, client } = pair()
  const [sent] = rig.generates('r1')
  assert.equal(sent!.to, 'instance/p')
  assert.deepEqual(sent!.payload.handOffTo, { instanceId: 'd', address: 'instance/d' })
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.advance(100)
  handOver(rig, { firstIndex: 1, text: 'B' })
  rig.advance(100)
  handOver(rig, { firstIndex: 2, text: 'C', isLast: true })
  rig.advance(100)
  assert.deepEqual([rig.text(client), rig.kinds(client).at(-1)], ['ABC', 'finished'])
  const acks = rig.sent.flatMap(({ to, payload }) => (payload.kind === 'ack' ? [[to, payload.acks[0]!.epoch.hop, payload.acks[0]!.nextIndex]] : []))
  assert.deepEqual(acks, [['instance/p', 0, 1], ['instance/d', 1, 2], ['instance/d', 1, 3]])
  assert.deepEqual(abortsOf(rig), [])
  rig.assertEmpty()
})

test('a request that ends with its first token on the prefill instance never knows the other', () => {
  const { rig, client } = pair()
  rig.tokens('r1', { tokenIds: codes('A'), finish: finishOf('length') })
  rig.advance(100)
  assert.deepEqual([rig.text(client), rig.kinds(client).at(-1)], ['A', 'finished'])
  rig.assertEmpty()
})

const ENDS: readonly (readonly [string, RequestOverrides, (rig: Rig, client: number) => void])[] = [
  ['a cancel', {}, (rig, client) => rig.receive({ kind: 'cancel', clientId: client })],
  ['a deadline', { remainingMs: 300 }, (rig) => rig.advance(300)],
  ['a stop string', { stop: ['B'] }, (rig) => rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B') })],
]
for (const [what, request, end] of ENDS) {
  test(`${what} frees both instances, before and after the hand-off`, () => {
    const before = pair(request)
    before.rig.tokens('r1', { tokenIds: codes('A') })
    end(before.rig, before.client)
    assert.deepEqual(abortsOf(before.rig).sort(), ['d', 'p'])
    before.rig.advance(100)
    before.rig.assertEmpty()
    const after = pair(request)
    after.rig.tokens('r1', { tokenIds: codes('A') })
    if (what === 'a stop string') handOver(after.rig, { firstIndex: 1, text: 'xB' })
    else {
      handOver(after.rig, { firstIndex: 1, text: 'x' })
      end(after.rig, after.client)
    }
    assert.deepEqual(abortsOf(after.rig).sort(), ['d', 'p'])
    after.rig.advance(100)
    after.rig.assertEmpty()
  })
}

test('a choice cut by a stop string is freed at both', () => {
  const { rig } = pair({ n: 2, stop: ['#'] })
  rig.tokens('r1', { tokenIds: codes('#') })
  assert.deepEqual(rig.sent.flatMap(({ to, payload }) => (payload.kind === 'abort' ? [[to, payload.sequence]] : [])), [['instance/p', 0], ['instance/d', 0]])
})

interface Loss {
  readonly what: string
  readonly lost: 'p' | 'd'
  readonly before: (rig: Rig) => void
  /** Instances that got the request, and those that were told to free it. */
  readonly places: readonly string[]
  readonly aborts: readonly string[]
}
const LOSSES: readonly Loss[] = [
  { what: 'the prefill instance is lost before its first token', lost: 'p', before: () => {}, places: ['p', 'd'], aborts: ['d'] },
  { what: 'the prefill instance is lost after its first token', lost: 'p', before: (rig) => rig.tokens('r1', { tokenIds: codes('A') }), places: ['p', 'd'], aborts: ['d'] },
  { what: 'the decode instance is lost while the prompt is computed', lost: 'd', before: () => {}, places: ['p'], aborts: [] },
  { what: 'the decode instance is lost after the first token, before its own', lost: 'd', before: (rig) => rig.tokens('r1', { tokenIds: codes('A') }), places: ['p', 'p'], aborts: ['p'] },
  { what: 'the decode instance is lost after the prefill instance went on by itself', lost: 'd', before: (rig) => rig.tokens('r1', { tokenIds: codes('AB') }), places: ['p'], aborts: [] },
  { what: 'the decode instance is lost after the hand-off', lost: 'd', before: (rig) => handOver(rig, { firstIndex: 0, text: 'AB' }), places: ['p', 'p'], aborts: ['p'] },
  { what: 'the prefill instance is lost after the hand-off', lost: 'p', before: (rig) => handOver(rig, { firstIndex: 0, text: 'AB' }), places: ['p'], aborts: [] },
]
for (const { what, lost, before, places, aborts } of LOSSES) {
  for (const [how, lose] of [['gone', gone], ['a lost lease', (rig: Rig, id: string) => rig.receive({ kind: 'member-lost', address: `instance/${id}` })]] as const) {
    test(`${what} (${how}): ${places.length === 1 ? 'nothing is sent' : 'it goes on elsewhere, once'}`, () => {
      const { rig, client } = pair()
      before(rig)
      const emitted = rig.tokenIds(client)
      lose(rig, lost)
      assert.deepEqual([placesOf(rig), abortsOf(rig)], [places, aborts])
      if (places.length > 1) assert.deepEqual([rig.generates('r1').at(-1)!.payload.emittedIds, rig.generates('r1').at(-1)!.payload.handOffTo], [[emitted], null])
      const owner = what.includes('after the hand-off') && lost === 'p' ? 'd' : placesOf(rig).at(-1)!
      const epoch = rig.generates('r1').at(-1)!.payload.epoch
      rig.tokens('r1', { epoch: owner === 'd' && lost === 'p' && places.length === 1 ? { ...epoch, hop: 1 } : epoch, firstIndex: emitted.length, tokenIds: codes('z'), finish: finishOf('length') }, { instanceId: owner })
      assert.deepEqual([rig.tokenIds(client), rig.kinds(client).at(-1)], [[...emitted, 122], 'finished'])
      rig.advance(100)
      rig.assertEmpty()
    })
  }
}

test('the decode instance was lost before the first token: the prefill instance keeps the request if it says so, and loses it if not', () => {
  for (const keeps of [true, false]) {
    const { rig } = pair()
    gone(rig, 'd')
    rig.advance(3000)
    rig.load('p')
    rig.tokens('r1', { tokenIds: codes('A') })
    if (keeps) rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B') })
    rig.advance(2100)
    assert.deepEqual(placesOf(rig), keeps ? ['p'] : ['p', 'p'])
    assert.deepEqual(abortsOf(rig), keeps ? [] : ['p'])
  }
})

test('a decode instance that dies as it begins counts as a crash: such a request is given up after three', () => {
  const { rig, client } = pair()
  rig.tokens('r1', { tokenIds: codes('A') })
  gone(rig, 'd')
  for (let incarnation = 1; incarnation <= 2; incarnation += 1) {
    if (incarnation === 2) assert.ok(rig.mayBegin('r1', 2))
    gone(rig, 'p', incarnation)
    rig.load('p', { role: 'prefill', incarnation: incarnation + 1 })
  }
  assert.deepEqual([rig.generates('r1').map(({ payload }) => payload.guarded === true), rig.errorOf(client).reason], [[false, false, true], 'request_quarantined'])
  rig.assertEmpty()
})

test('a suspect is given to one instance alone', () => {
  const { rig } = pair()
  rig.load('q', { role: 'prefill', kvAddress: 'h:3' })
  gone(rig, 'p')
  rig.load('p', { role: 'prefill', kvAddress: 'h:1', incarnation: 2 })
  gone(rig, 'q')
  const sent = rig.generates('r1').map(({ to, payload: { guarded, handOffTo } }) => [to, guarded === true, handOffTo?.instanceId ?? null])
  assert.deepEqual(sent, [['instance/p', false, 'd'], ['instance/q', false, 'd'], ['instance/p', true, null]])
})

test('a decode instance that says that it had not begun the request counts for nothing', () => {
  for (const begunIds of [['r1'], []]) {
    const { rig } = pair()
    rig.tokens('r1', { tokenIds: codes('A') })
    rig.report({ kind: 'gone', instanceId: 'd', incarnation: 1, reason: 'crash', begunIds })
    gone(rig, 'p')
    rig.load('p', { role: 'prefill', incarnation: 2 })
    assert.equal(rig.generates('r1').at(-1)!.payload.guarded, begunIds.length > 0 ? true : undefined)
  }
})

test('a pair that says nothing is asked on both sides: the one that has it knows its epoch', () => {
  const { rig, client } = pair()
  rig.tokens('r1', { tokenIds: codes('A') })
  for (let second = 0; second < 5; second += 1) {
    rig.advance(1000)
    for (const instanceId of ['p', 'd']) rig.load(instanceId, { numRunning: instanceId === 'p' ? 0 : 1 })
  }
  assert.deepEqual(rig.sent.flatMap(({ to, payload }) => (payload.kind === 'resend' ? [[to, payload.epoch.hop, payload.fromIndex]] : [])), [['instance/p', 0, 1], ['instance/d', 1, 1]])
  rig.advance(4000)
  for (const instanceId of ['p', 'd']) rig.load(instanceId, { numRunning: instanceId === 'p' ? 0 : 1 })
  rig.advance(2000)
  // The decode instance works: the request may well be there.
  assert.equal(rig.generates('r1').length, 1)
  handOver(rig, { firstIndex: 1, text: 'B', isLast: true })
  assert.equal(rig.text(client), 'AB')
})

test('the policy sees reports plus what was sent since: prompts on the prefill instance, sequences on the decode instance', () => {
  const seen: { request: DispatchRequest; instances: readonly DispatchInstance[] }[] = []
  const rig = new Rig({ dispatch: (request, instances) => {
    seen.push({ request, instances })
    return pairing(request, instances)
  } })
  rig.load('p', { role: 'prefill', kvAddress: 'h:1', freeBlocks: 10, cachedBlocks: 5, numRunning: 0, freenessBlocks: 15, cellTokens: 4, contextTokens: 7 })
  rig.load('d', { role: 'decode', kvAddress: 'h:2', freeBlocks: 10, cachedBlocks: 0, numRunning: 2, freenessBlocks: 20, cellTokens: 4, contextTokens: 100 })
  const prompt = { kind: 'text', text: 'x'.repeat(20) } as const
  rig.submit({ requestId: 'r1', input: prompt, n: 2, sampling: { maxTokens: 9 }, slo: { ttftMs: 50, tpotMs: 5 }, priority: -1 })
  rig.submit({ requestId: 'r2', input: prompt })
  const [first, second] = seen
  assert.deepEqual(first!.request, { requestId: 'r1', ordinal: 0, promptTokens: 20, emittedTokens: 0, maxNewTokens: 9, numChoices: 2, ttftMs: 50, tpotMs: 5, priority: -1 })
  const facts = (id: string, { instances } = second!): unknown[] => {
    const found = instances.find(({ instanceId }) => instanceId === id)!
    return [found.pendingPrefillTokens, found.numSequences, found.contextTokens, found.availableBlocks, found.freenessBlocks, found.hitTokens, found.shipsKv]
  }
  assert.deepEqual(facts('p', first), [0, 0, 7, 15, 15, 0, true])
  assert.deepEqual(facts('p'), [20, 0, 7, 13, 13, 20, true])
  // (20 * 2 - 2) / (2 + 2)
  assert.deepEqual(facts('d'), [0, 4, 140, 8, 9.5, 20, true])
  rig.load('p', { role: 'prefill', kvAddress: null, freeBlocks: 10, cachedBlocks: 5, cellTokens: 4 })
  gone(rig, 'd')
  rig.submit({ requestId: 'r3', input: prompt })
  assert.deepEqual(facts('p', seen.at(-1)).slice(5), [20, false])
})

test('what a policy names beside the candidates is no decision', () => {
  const rig = new Rig({ dispatch: () => ({ kind: 'colocated', instanceId: 'nobody', forecast: { ttftMs: null, tpotMs: null } }) })
  rig.load('a')
  rig.submit()
  assert.deepEqual([rig.generates('r1').length, rig.actor.sizes()['unplaced']], [0, 1])
})

test('a draining instance is in no pair, and a pair under way is finished', () => {
  const { rig, client } = pair()
  rig.load('d', { role: 'decode', kvAddress: 'h:2', draining: true })
  rig.submit({ requestId: 'r2' })
  assert.equal(rig.generates('r2')[0]!.payload.handOffTo, null)
  handOver(rig, { firstIndex: 0, text: 'AB', isLast: true })
  assert.equal(rig.text(client), 'AB')
})

test('the view of the instances: who is there, what it reported, how much of ours it owns', () => {
  const { rig } = pair()
  const views = rig.actor.instances().map(({ instanceId, role, numRequests, draining, address, incarnation, lastHeardMs }) => [instanceId, role, numRequests, draining, address, incarnation, lastHeardMs])
  assert.deepEqual(views, [['p', 'prefill', 1, false, 'instance/p', 1, 1000], ['d', 'decode', 0, false, 'instance/d', 1, 1000]])
  assert.equal(rig.actor.instances()[0]!.load?.kvAddress, 'h:1')
})
