// The destination's transitions, one message at a time, and what both sides do together.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedChoice, generateMessage, InstanceNetwork, SMALL_SHAPE, heldBlocksOf, loadOf } from '@rubato/testing'
import type { GenerateOptions, InstanceDriver, InstanceFixtureOptions } from '@rubato/testing'
import type { InstancePayload } from '../effects.ts'
import type { GenerateMessage, InstanceMessage } from '../messages.ts'
import type { ReserveMessage } from '../peer-messages.ts'
import { RouterStub } from './fixtures/router-stub.ts'

const SOURCE = 'instance/a'
const EPOCH = { recovery: 0, hop: 0 }
const RAISED = { recovery: 0, hop: 1 }
const FAILED = { kind: 'failed', error: { code: 'kv_link_failed', message: 'reset', retryable: true } } as const

function destination(options: InstanceFixtureOptions = {}): InstanceDriver {
  const driver = new InstanceNetwork().add('b', options)
  driver.onSend = () => {}
  return driver
}

function handed(name: string, options: GenerateOptions = {}): GenerateMessage {
  return generateMessage(name, { promptLen: 18, handOffTo: { instanceId: 'b', address: 'instance/b' }, ...options })
}

function reserve(request: GenerateMessage, fields: Partial<ReserveMessage> = {}): ReserveMessage {
  return { kind: 'reserve', sourceId: 'a', request, remainingMs: null, router: 'router/r1', kvAddress: 'kv/a', modelFingerprint: SMALL_SHAPE.modelFingerprint, ...fields }
}

function toSource<K extends InstancePayload['kind']>(driver: InstanceDriver, kind: K): Extract<InstancePayload, { kind: K }>[] {
  return driver.sent.filter(({ to }) => to === SOURCE).map(({ payload }) => payload).filter((payload): payload is Extract<InstancePayload, { kind: K }> => payload.kind === kind)
}

const offer = (firstBlock: number, numBlocks: number, token: string): InstanceMessage => ({ kind: 'offer', requestId: 'a', epoch: EPOCH, sequence: 0, firstBlock, numBlocks, token })
const handOff = (message: GenerateMessage): InstanceMessage => ({
  kind: 'hand-off', requestId: 'a', epoch: RAISED,
  sequences: message.emittedIds.map((_, index) => ({
    index, tokenIds: expectedChoice(message, index, SMALL_SHAPE).slice(0, 1), logprobs: null, ackedIndex: 0, finish: null,
    timing: { queueMs: 3, prefillMs: 4, cachedTokens: 0, preemptions: 0, acceptedDraftTokens: 0, migrations: 0 },
  })),
})

/** A network of a and b where everything works. */
function pair(options: InstanceFixtureOptions = {}): { network: InstanceNetwork; router: RouterStub; a: InstanceDriver; b: InstanceDriver } {
  const network = new InstanceNetwork({ onOther: (mail) => router.receive(mail) })
  const router = new RouterStub(network)
  return { network, router, a: network.add('a', options), b: network.add('b', options) }
}

const DECLINED: readonly (readonly [reason: string, before: readonly InstanceMessage[], message: ReserveMessage])[] = [
  ['draining', [{ kind: 'drain' }], reserve(handed('a'))],
  ['other_model', [], reserve(handed('a'), { modelFingerprint: 'another' })],
  ['too_long', [], reserve(handed('a', { promptLen: 250, sampling: { maxTokens: 20 } }))],
  ['superseded', [generateMessage('a', { epoch: { recovery: 1, hop: 0 } })], reserve(handed('a'))],
]

for (const [reason, before, message] of DECLINED) {
  test(`declined: ${reason}`, () => {
    const driver = destination()
    for (const each of before) driver.deliver(each)
    driver.deliver(message, SOURCE)
    assert.deepEqual(toSource(driver, 'declined').map((declined) => [declined.reason, declined.epoch]), [[reason, EPOCH]])
    assert.equal(toSource(driver, 'reserved').length, 0)
  })
}

test('room is held for the prompt of all choices, and a repeat is answered again', () => {
  const driver = destination()
  driver.deliver(reserve(handed('a', { n: 3 })), SOURCE)
  driver.deliver(reserve(handed('a', { n: 3 })), SOURCE)
  assert.deepEqual(toSource(driver, 'reserved').map(({ numHeldBlocks }) => numHeldBlocks), [0, 0])
  assert.equal(heldBlocksOf(driver), 4 + 3)
})

test('room is given first come first served, as it comes free', () => {
  const driver = destination({ shape: { numBlocks: 12 } })
  for (const name of ['a', 'b', 'c']) driver.deliver(reserve(handed(name, { promptLen: name === 'b' ? 24 : 10 })), SOURCE)
  assert.deepEqual(toSource(driver, 'reserved').map(({ requestId }) => requestId), ['a', 'b'])
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: null }, SOURCE)
  assert.deepEqual(toSource(driver, 'reserved').map(({ requestId }) => requestId), ['a', 'b', 'c'])
})

test('sequences that are expected count against those that run', () => {
  const driver = destination({ limits: { maxNumSeqs: 3, maxNumBatchedTokens: 32 } })
  driver.deliver(reserve(handed('a', { n: 2 })), SOURCE)
  driver.deliver(reserve(handed('c', { n: 2 })), SOURCE)
  assert.equal(toSource(driver, 'reserved').length, 1)
  driver.deliver(generateMessage('x', { n: 2 }))
  assert.equal(driver.command, null)
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: null }, SOURCE)
  assert.deepEqual([toSource(driver, 'reserved').length, driver.command], [2, null])
})

test('offers are pulled, a few at a time; the token is the offer\'s and the address the source\'s', () => {
  const driver = destination()
  const message = handed('a', { promptLen: 40 })
  driver.deliver(reserve(message), SOURCE)
  for (let block = 0; block < 10; block++) driver.deliver(offer(block, 1, `t${block}`), SOURCE)
  driver.deliver(offer(0, 1, 't0'), SOURCE)
  driver.deliver(offer(9, 2, 'outside'), SOURCE)
  assert.deepEqual([...driver.pulls.values()].map(({ kvAddress, token, numBlocks }) => [kvAddress, token, numBlocks]), ['t0', 't1', 't2', 't3'].map((token) => ['kv/a', token, 1]))
})

test('what could not be pulled is said, and pulled again under the next token', () => {
  const driver = destination()
  driver.deliver(reserve(handed('a')), SOURCE)
  driver.deliver(offer(0, 2, 't1'), SOURCE)
  driver.completeTransfer([...driver.pulls.keys()][0]!, FAILED)
  assert.deepEqual(toSource(driver, 'not-pulled').map(({ token }) => token), ['t1'])
  driver.deliver(reserve(handed('a')), SOURCE)
  assert.equal(toSource(driver, 'not-pulled').length, 2, 'said again when the source asks, which may not have heard')
  driver.deliver(offer(0, 2, 't2'), SOURCE)
  assert.deepEqual([...driver.pulls.values()].map(({ token }) => token), ['t2'])
})

test('blocks that cannot be had after the hand-off: the request is given back for good', () => {
  const driver = destination()
  const message = handed('a')
  driver.deliver(reserve(message), SOURCE)
  driver.deliver(handOff(message), SOURCE)
  for (const token of ['t1', 't2', 't3']) {
    driver.deliver(offer(0, 5, token), SOURCE)
    driver.completeTransfer([...driver.pulls.keys()][0]!, FAILED)
  }
  assert.deepEqual(toSource(driver, 'declined').map(({ epoch }) => epoch), [RAISED])
  driver.deliver(handOff(message), SOURCE)
  driver.deliver(reserve(message), SOURCE)
  assert.deepEqual(toSource(driver, 'declined').map(({ epoch }) => epoch.hop), [1, 1, 0])
  assert.deepEqual([heldBlocksOf(driver), driver.pulls.size], [0, 0])
})

test('a hand-off that nothing was reserved for is given back', () => {
  const driver = destination()
  driver.deliver(handOff(handed('a')), SOURCE)
  assert.deepEqual(toSource(driver, 'declined').map(({ epoch }) => epoch), [RAISED])
})

const CLOSED: readonly (readonly [name: string, end: (driver: InstanceDriver) => void])[] = [
  ['aborted by the source', (driver) => driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: null }, SOURCE)],
  ['aborted by the router', (driver) => driver.deliver({ kind: 'abort', requestId: 'a', epoch: { recovery: 0, hop: 4 }, sequence: null })],
  ['aborted choice by choice', (driver) => driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: 0 })],
  ['the source is gone', (driver) => driver.deliver({ kind: 'member-gone', address: SOURCE }, 'cluster')],
  ['ten seconds without a word', (driver) => driver.advance(11_100)],
  ['dispatched anew', (driver) => driver.deliver({ ...handed('a', { epoch: { recovery: 1, hop: 0 } }), handOffTo: null })],
]

for (const [name, end] of CLOSED) {
  test(`everything reserved is free when ${name}; blocks that are being written once they are`, () => {
    const driver = destination()
    driver.deliver(reserve(handed('a')), SOURCE)
    driver.deliver(offer(0, 2, 't1'), SOURCE)
    driver.deliver(offer(2, 2, 't2'), SOURCE)
    const bytes = driver.engine.apply({ kind: 'export-blocks', blockIds: [0, 1] })
    assert.ok(bytes.kind === 'export-blocks')
    driver.completeTransfer([...driver.pulls.keys()][0]!, { kind: 'done', value: { bytes: bytes.bytes, transferMs: 1, bytesPerSec: 5 } })
    end(driver)
    assert.deepEqual([driver.pulls.size, driver.numInstalls], [0, 1])
    if (driver.command === null) {
      assert.equal(heldBlocksOf(driver), 5)
      driver.completeInstall()
    } else driver.runToIdle()
    assert.equal(heldBlocksOf(driver), 0)
    assert.equal(loadOf(driver).pullBytesPerSec, 5)
  })
}

test('a reservation is ended with word to the source when it fell silent', () => {
  const driver = destination()
  driver.deliver(reserve(handed('a')), SOURCE)
  driver.advance(11_100)
  assert.deepEqual(toSource(driver, 'declined').map(({ reason, epoch }) => [reason, epoch]), [['link_failed', EPOCH]])
})

test('a silent source is told every second what is reserved for it', () => {
  const driver = destination()
  driver.deliver(reserve(handed('a')), SOURCE)
  driver.advance(3_500)
  assert.equal(toSource(driver, 'reserved').length, 4)
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: null }, SOURCE)
  driver.advance(3_500)
  assert.deepEqual([heldBlocksOf(driver), toSource(driver, 'reserved').length, toSource(driver, 'declined').length], [0, 4, 0])
})

test('an abort of an older recovery is stale', () => {
  const driver = destination()
  driver.deliver(reserve(handed('a', { epoch: { recovery: 2, hop: 0 } })), SOURCE)
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: { recovery: 1, hop: 9 }, sequence: null })
  assert.equal(heldBlocksOf(driver), 5)
})

test('a request is taken once its blocks are there, and every repeat of the hand-off hears so', () => {
  const { network, router, b } = pair()
  const message = handed('a', { n: 3, promptLen: 22 })
  router.submit(message, 'router/r1', SOURCE)
  for (let round = 0; round < 40; round++) network.round()
  const request = router.requests.get('a')!
  request.choices.forEach(({ tokenIds }, index) => assert.deepEqual(tokenIds, expectedChoice(message, index, SMALL_SHAPE)))
  assert.deepEqual([request.owner, request.epoch], ['instance/b', RAISED])
  assert.deepEqual(b.steps.flatMap(({ cells }) => cells), [], 'nothing of the prompt was computed again')
  b.deliver({ kind: 'hand-off', requestId: 'a', epoch: RAISED, sequences: [] }, SOURCE)
  assert.equal(toSource(b, 'taken').length, 2)
  assert.deepEqual(b.steps[0]?.admit.map(({ kvTokens }) => kvTokens), [22, 22, 22])
})

test('timing is carried: the router hears when the prompt waited and ran', () => {
  const { network, router, b } = pair({ limits: { maxNumSeqs: 8, maxNumBatchedTokens: 8 } })
  router.submit(handed('a'), 'router/r1', SOURCE)
  for (let round = 0; round < 40; round++) {
    network.advance(1)
    network.round()
  }
  const runs = b.sent.flatMap(({ payload }) => (payload.kind === 'tokens' ? payload.runs : []))
  const timing = runs.at(-1)?.finish?.timing
  assert.ok(timing !== undefined && timing.prefillMs > 0, 'the prefill time is that of the source')
  assert.equal(runs.every(({ start }) => start === undefined), true)
})

test('blocks with the same contents are shared, not pulled', () => {
  const { network, router, b } = pair()
  router.submit({ ...generateMessage('x', { promptLen: 13 }) }, 'router/r1', 'instance/b')
  for (let round = 0; round < 20; round++) network.round()
  router.submit(handed('a'), 'router/r1', SOURCE)
  for (let round = 0; round < 20; round++) network.round()
  assert.deepEqual(toSource(b, 'reserved').map(({ numHeldBlocks }) => numHeldBlocks), [3])
  assert.deepEqual(router.requests.get('a')!.choices[0]!.tokenIds, expectedChoice(handed('a'), 0, SMALL_SHAPE))
})

test('pulled prompts are hits for the next request', () => {
  const { network, router, b } = pair()
  router.submit(handed('a'), 'router/r1', SOURCE)
  for (let round = 0; round < 40; round++) network.round()
  router.submit(generateMessage('y', { promptLen: 18 }), 'router/r1', 'instance/b')
  for (let round = 0; round < 40; round++) network.round()
  assert.equal(loadOf(b).prefixHitTokensTotal, 16)
})

test('two instances that wait for each other decode at home', () => {
  const { network, router } = pair({ shape: { numBlocks: 12 } })
  const long = { promptLen: 30, sampling: { maxTokens: 8 } }
  const there = handed('a', long)
  const back = { ...handed('z', { ...long, cacheSalt: 'z' }), handOffTo: { instanceId: 'a', address: SOURCE } }
  router.submit(there, 'router/r1', SOURCE)
  router.submit(back, 'router/r1', 'instance/b')
  for (let round = 0; round < 60; round++) network.round()
  for (const message of [there, back]) assert.deepEqual(router.requests.get(message.requestId)!.choices[0]!.tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
  assert.equal(network.nowMs, 0, 'without waiting for a time limit')
})

test('blocks that are there already are not written again', () => {
  const driver = destination()
  driver.deliver(reserve(handed('a')), SOURCE)
  for (const token of ['t1', 't2']) {
    driver.deliver(offer(0, 2, token), SOURCE)
    const bytes = driver.engine.apply({ kind: 'export-blocks', blockIds: [0, 1] })
    assert.ok(bytes.kind === 'export-blocks')
    driver.completeTransfer([...driver.pulls.keys()][0]!, { kind: 'done', value: { bytes: bytes.bytes, transferMs: 1, bytesPerSec: 1 } })
    assert.equal(driver.numInstalls, token === 't1' ? 1 : 0)
    if (token === 't1') driver.completeInstall()
  }
})

test('a request that is aborted between its hand-off and the next step was never told to the engine', () => {
  const { network, router, b } = pair()
  b.deliver(generateMessage('x', { promptLen: 4, cacheSalt: 'x', sampling: { maxTokens: 60 } }))
  router.submit(handed('a'), 'router/r1', SOURCE)
  for (let turn = 0; toSource(b, 'taken').length === 0; turn++) {
    assert.ok(turn < 50, 'the request is taken')
    network.deliver()
    const a = network.instances.get(SOURCE)!
    if (a.command !== null) a.completeStep(0)
    network.deliver()
    if (b.pulls.size > 0) network.completePull(b, [...b.pulls.keys()][0]!)
    if (b.numInstalls > 0 && b.command !== null && toSource(b, 'taken').length === 0) b.completeStep(0)
    else if (b.numInstalls > 0) b.completeInstall()
  }
  const numHeld = heldBlocksOf(b)
  b.deliver({ kind: 'abort', requestId: 'a', epoch: RAISED, sequence: null })
  assert.ok(heldBlocksOf(b) <= numHeld)
  b.runToIdle()
  assert.deepEqual([heldBlocksOf(b), b.engine.numLive], [0, 0])
})
