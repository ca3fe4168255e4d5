// Live requests that move: the source's transitions one message at a time, the destination's, and both together.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedChoice, generateMessage, InstanceNetwork, instanceFixture, SMALL_SHAPE, heldBlocksOf, loadOf } from '@rubato/testing'
import type { GenerateOptions, InstanceDriver, InstanceFixtureOptions } from '@rubato/testing'
import type { InstancePayload } from '../effects.ts'
import { RouterStub } from '../hand-off/fixtures/router-stub.ts'
import type { GenerateMessage, InstanceMessage } from '../messages.ts'

const PEER = 'instance/b'
const TO_PEER = { instanceId: 'b', address: PEER }
const EPOCH = { recovery: 0, hop: 0 }
const RAISED = { recovery: 0, hop: 1 }
const KEPT = { recovery: 0, hop: 2 }
const FAILED = { kind: 'failed', error: { code: 'kv_link_failed', message: 'reset', retryable: true } } as const

function sentTo<K extends InstancePayload['kind']>(driver: InstanceDriver, address: string, kind: K): Extract<InstancePayload, { kind: K }>[] {
  return driver.sent.filter(({ to }) => to === address).map(({ payload }) => payload).filter((payload): payload is Extract<InstancePayload, { kind: K }> => payload.kind === kind)
}

const migrate = (fields: Partial<Extract<InstanceMessage, { kind: 'migrate' }>> = {}): InstanceMessage => ({ kind: 'migrate', requestId: 'a', to: TO_PEER, forMs: 0, ...fields })
const longRequest = (name = 'a', options: GenerateOptions = {}): GenerateMessage => generateMessage(name, { promptLen: 18, ...options, sampling: { maxTokens: 40, ...options.sampling } })

/** An instance whose request `a` has decoded for a few steps. */
function decoding(options: GenerateOptions = {}, fixture: InstanceFixtureOptions = {}): InstanceDriver {
  const driver = instanceFixture({ kvShipping: { kvAddress: 'kv/a', signOffer: (text) => `signed ${text}` }, ...fixture })
  driver.deliver(longRequest('a', options))
  for (let step = 0; step < 4; step++) driver.completeStep()
  return driver
}

function reserved(driver: InstanceDriver, numHeldBlocks = 0): void {
  driver.deliver({ kind: 'reserved', requestId: 'a', epoch: EPOCH, numHeldBlocks }, PEER)
}

function pullAll(driver: InstanceDriver): void {
  for (const effectId of Array.from(driver.serves, ([effectId]) => effectId)) driver.completeTransfer(effectId, { kind: 'done', value: null })
}

/** Told, reserved, copied. */
function copied(options: GenerateOptions = {}, fixture: InstanceFixtureOptions = {}): InstanceDriver {
  const driver = decoding(options, fixture)
  driver.deliver(migrate(), 'migrator/m')
  reserved(driver)
  pullAll(driver)
  return driver
}

/** Standing still, handed over. */
function handedOver(options: GenerateOptions = {}): InstanceDriver {
  const driver = copied(options)
  driver.completeStep()
  assert.equal(sentTo(driver, PEER, 'hand-off').length, 1)
  return driver
}

test('full blocks are copied while it decodes; then it stands still, the rest follows, and the hand-off with every token', () => {
  const driver = decoding()
  driver.deliver(migrate(), 'migrator/m')
  const [reserve] = sentTo(driver, PEER, 'reserve')
  const emitted = driver.choice('a').tokenIds.length
  assert.deepEqual([reserve?.isLive, reserve?.request.emittedIds[0]?.length, reserve?.request.handOffTo], [true, emitted, null])
  reserved(driver)
  // 18 + emitted - 1 tokens in KV: the full blocks of 4.
  const numFull = Math.floor((17 + emitted) / 4)
  assert.deepEqual(sentTo(driver, PEER, 'offer').map(({ firstBlock, numBlocks }) => [firstBlock, numBlocks]), [[0, numFull]])
  for (let step = 0; step < 3; step++) driver.completeStep()
  assert.equal(driver.choice('a').tokenIds.length, emitted + 3, 'it decodes on')
  pullAll(driver)
  assert.equal(sentTo(driver, PEER, 'hand-off').length, 0, 'never within a step')
  driver.completeStep()
  const tokens = driver.choice('a').tokenIds.length
  const [handOff] = sentTo(driver, PEER, 'hand-off')
  assert.deepEqual([handOff?.epoch, handOff?.sequences.map(({ tokenIds, timing }) => [tokenIds.length, timing.migrations])], [RAISED, [[tokens, 1]]])
  const last = sentTo(driver, PEER, 'offer').at(-1)!
  assert.equal(last.firstBlock + last.numBlocks, Math.ceil((17 + tokens) / 4), 'with the partial block')
  driver.runToIdle()
  assert.equal(driver.choice('a').tokenIds.length, tokens, 'it stands still')
  driver.deliver({ kind: 'taken', requestId: 'a', epoch: RAISED }, PEER)
  driver.runToIdle()
  assert.deepEqual([heldBlocksOf(driver), driver.engine.numLive, loadOf(driver).migrations.outTotal], [0, 0, 1])
})

test('a stage copies what the one before it left, three at most', () => {
  const driver = decoding()
  driver.deliver(migrate(), 'migrator/m')
  reserved(driver)
  const numOffers: number[] = []
  while (sentTo(driver, PEER, 'hand-off').length === 0) {
    for (let step = 0; step < 9; step++) if (driver.command !== null && sentTo(driver, PEER, 'hand-off').length === 0) driver.completeStep()
    pullAll(driver)
    numOffers.push(sentTo(driver, PEER, 'offer').length)
    if (numOffers.length > 6) break
  }
  assert.deepEqual(numOffers, [1, 2, 3, 4], 'three stages while it decodes, and the last one')
})

test('without stages it stands still at once', () => {
  const driver = decoding()
  driver.deliver(migrate({ maxStages: 0 }), 'migrator/m')
  reserved(driver)
  assert.equal(sentTo(driver, PEER, 'offer').length, 0)
  driver.completeStep()
  assert.deepEqual([sentTo(driver, PEER, 'offer').map(({ firstBlock }) => firstBlock), sentTo(driver, PEER, 'hand-off').length], [[0], 1])
})

test('prompt blocks that the destination holds are not copied', () => {
  const driver = decoding()
  driver.deliver(migrate(), 'migrator/m')
  reserved(driver, 2)
  assert.equal(sentTo(driver, PEER, 'offer')[0]?.firstBlock, 2)
})

const STAYS: readonly (readonly [name: string, end: (driver: InstanceDriver) => void, numAborts: number])[] = [
  ['declined', (driver) => driver.deliver({ kind: 'declined', requestId: 'a', epoch: EPOCH, reason: 'no_capacity' }, PEER), 0],
  ['no word for ten seconds', (driver) => driver.advance(10_100), 1],
  ['the destination is gone', (driver) => driver.deliver({ kind: 'member-gone', address: PEER }, 'cluster'), 0],
]

for (const [name, end, numAborts] of STAYS) {
  for (const [moment, begin] of [['before it is reserved', () => decoding()], ['while it is copied', () => copied()]] as const) {
    test(`it stays when ${name} ${moment}, under a hop that was promised to nobody`, () => {
      const driver = begin()
      if (moment === 'before it is reserved') driver.deliver(migrate(), 'migrator/m')
      end(driver)
      assert.equal(sentTo(driver, PEER, 'abort').length, numAborts)
      driver.runToIdle()
      assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(longRequest(), 0, SMALL_SHAPE))
      assert.deepEqual(sentTo(driver, 'router/r1', 'tokens').at(-1)?.runs[0]?.epoch, KEPT)
      assert.deepEqual([heldBlocksOf(driver), driver.serves.size, loadOf(driver).migrations.abortedTotal], [0, 0, 1])
    })
  }
}

test('it stays when one range could not be pulled three times', () => {
  const driver = decoding()
  driver.deliver(migrate(), 'migrator/m')
  reserved(driver)
  for (let attempt = 0; attempt < 3; attempt++) for (const effectId of Array.from(driver.serves, ([effectId]) => effectId)) driver.completeTransfer(effectId, FAILED)
  assert.deepEqual([sentTo(driver, PEER, 'abort').length, driver.serves.size], [1, 0])
  driver.runToIdle()
  assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(longRequest(), 0, SMALL_SHAPE))
})

test('it ends where it is when it ends while it is copied', () => {
  const driver = decoding({ sampling: { maxTokens: 8 } })
  driver.deliver(migrate(), 'migrator/m')
  reserved(driver)
  driver.runToIdle()
  assert.deepEqual([sentTo(driver, PEER, 'abort').length, heldBlocksOf(driver), driver.serves.size], [1, 0, 0])
})

test('a request that is preempted stays', () => {
  const driver = decoding({}, { shape: { numBlocks: 15 }, limits: { maxNumSeqs: 8, maxNumBatchedTokens: 64 } })
  driver.deliver(migrate(), 'migrator/m')
  reserved(driver)
  driver.deliver(longRequest('older', { priority: -1, promptLen: 20, promptIds: Array.from({ length: 20 }, (_, place) => 500 + place) }))
  while (loadOf(driver).preemptionsTotal === 0) driver.completeStep()
  assert.deepEqual([sentTo(driver, PEER, 'abort').length, driver.serves.size], [1, 0])
  driver.runToIdle()
  assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(longRequest(), 0, SMALL_SHAPE))
})

test('an abort of the request, wherever it is, frees both sides', () => {
  for (const begin of [copied, handedOver]) {
    const driver = begin()
    driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: null })
    driver.runToIdle()
    assert.deepEqual([sentTo(driver, PEER, 'abort').length, heldBlocksOf(driver), driver.serves.size], [1, 0, 0])
  }
})

test('once handed over, only a refusal of the raised epoch gives it back', () => {
  const driver = handedOver()
  const tokens = driver.choice('a').tokenIds.length
  driver.deliver({ kind: 'declined', requestId: 'a', epoch: EPOCH, reason: 'no_capacity' }, PEER)
  driver.runToIdle()
  assert.equal(driver.choice('a').tokenIds.length, tokens)
  driver.advance(30_000)
  assert.ok(sentTo(driver, PEER, 'hand-off').length > 20, 'it asks until it is told')
  driver.deliver({ kind: 'declined', requestId: 'a', epoch: RAISED, reason: 'superseded' }, PEER)
  driver.runToIdle()
  assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(longRequest(), 0, SMALL_SHAPE))
})

test('a destination that dies with the hand-off: the router is told at once, and nothing is kept', () => {
  const driver = handedOver()
  driver.deliver({ kind: 'member-gone', address: PEER }, 'cluster')
  driver.runToIdle()
  assert.deepEqual(sentTo(driver, 'router/r1', 'refused').map(({ requestId, reason, epoch }) => [requestId, reason, epoch]), [['a', 'no_capacity', EPOCH]])
  assert.deepEqual([heldBlocksOf(driver), driver.engine.numLive], [0, 0])
})

test('a router that has not heard of the move is passed on; when the new owner dies it is told', () => {
  const driver = handedOver()
  driver.deliver({ kind: 'taken', requestId: 'a', epoch: RAISED }, PEER)
  driver.deliver({ kind: 'resend', requestId: 'a', epoch: EPOCH, sequence: 0, fromIndex: 3 })
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: null })
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: RAISED, sequence: null }, 'instance/c')
  assert.deepEqual([sentTo(driver, PEER, 'resend').map(({ epoch, fromIndex }) => [epoch, fromIndex]), sentTo(driver, PEER, 'abort').map(({ epoch }) => epoch)], [[[RAISED, 3]], [RAISED]])
  driver.deliver({ kind: 'member-gone', address: PEER }, 'cluster')
  assert.equal(sentTo(driver, 'router/r1', 'refused').length, 1)
})

test('low priority goes first, then the shortest; one at a time, one after another while the pairing holds', () => {
  const driver = instanceFixture({ kvShipping: { kvAddress: 'kv/a', signOffer: (text) => text } })
  const sizes = [['high', 6, -1], ['long', 22, 0], ['short', 10, 0], ['low', 26, 1]] as const
  for (const [name, promptLen, priority] of sizes) driver.deliver(longRequest(name, { promptLen, priority, promptIds: Array.from({ length: promptLen }, (_, place) => 10 * promptLen + place) }))
  while (loadOf(driver).pendingPrefillTokens > 0 || driver.steps.length < 6) driver.completeStep()
  driver.deliver(migrate({ requestId: null, forMs: 5_000 }), 'migrator/m')
  const asked = (): string[] => [...new Set(sentTo(driver, PEER, 'reserve').map(({ request }) => request.requestId))]
  for (const name of ['low', 'short', 'long']) {
    assert.equal(asked().at(-1), name)
    driver.deliver({ kind: 'reserved', requestId: name, epoch: EPOCH, numHeldBlocks: 0 }, PEER)
    while (sentTo(driver, PEER, 'hand-off').at(-1)?.requestId !== name) {
      pullAll(driver)
      driver.completeStep()
    }
    driver.deliver({ kind: 'taken', requestId: name, epoch: RAISED }, PEER)
    driver.completeStep()
  }
  assert.deepEqual(asked(), ['low', 'short', 'long', 'high'])
  driver.deliver({ kind: 'declined', requestId: 'high', epoch: EPOCH, reason: 'busy' }, PEER)
  driver.runToIdle()
  assert.equal(asked().length, 4, 'a refusal ends the pairing')
})

test('what cannot move is left alone', () => {
  const cases: readonly InstanceMessage[] = [migrate({ requestId: 'unknown' }), migrate({ to: { instanceId: 'i1', address: 'instance/i1' } })]
  for (const message of cases) {
    const driver = decoding()
    driver.deliver(message, 'migrator/m')
    driver.runToIdle()
    assert.equal(driver.sent.filter(({ payload }) => payload.kind === 'reserve').length, 0)
  }
  const orphan = decoding()
  orphan.deliver({ kind: 'member-gone', address: 'router/r1' }, 'cluster')
  orphan.deliver(migrate(), 'migrator/m')
  const prompting = instanceFixture({ kvShipping: { kvAddress: 'kv/a', signOffer: (text) => text } })
  prompting.deliver(longRequest())
  prompting.deliver(migrate(), 'migrator/m')
  const alone = decoding({}, { kvShipping: null })
  alone.deliver(migrate(), 'migrator/m')
  for (const driver of [orphan, prompting, alone]) assert.equal(sentTo(driver, PEER, 'reserve').length, 0)
})

/** Instances a and b, where everything works; `a` decodes the request. */
function pair(message: GenerateMessage, options: InstanceFixtureOptions = {}): { network: InstanceNetwork; router: RouterStub; a: InstanceDriver; b: InstanceDriver } {
  const network = new InstanceNetwork({ onOther: (mail) => router.receive(mail) })
  const router = new RouterStub(network)
  const [a, b] = [network.add('a', options), network.add('b', options)]
  router.submit(message, 'router/r1', 'instance/a')
  for (let round = 0; round < 6; round++) network.round()
  return { network, router, a, b }
}

function settle(network: InstanceNetwork): void {
  for (let round = 0; round < 120; round++) network.round()
}

test('the new owner speaks at once under the raised hop, and goes on with the same tokens', () => {
  const message = longRequest('a', { trace: { traceId: '1'.repeat(32), spanId: '2'.repeat(16) } })
  const { network, router, a, b } = pair(message)
  a.deliver(migrate(), 'migrator/m')
  for (let round = 0; round < 6; round++) network.round()
  const first = sentTo(b, 'router/r1', 'tokens')[0]?.runs[0]
  assert.deepEqual([first?.epoch, first?.tokenIds], [RAISED, []])
  settle(network)
  const { choices } = router.requests.get('a')!
  assert.deepEqual([choices[0]?.tokenIds, choices[0]?.isFinished], [expectedChoice(message, 0, SMALL_SHAPE), true])
  assert.deepEqual(sentTo(b, 'router/r1', 'tokens').at(-1)?.runs[0]?.finish?.timing.migrations, 1)
  assert.deepEqual([loadOf(a).migrations.outTotal, loadOf(b).migrations.inTotal, heldBlocksOf(a), heldBlocksOf(b)], [1, 1, 0, 0])
  const stages = a.spans.filter(({ name }) => name === 'migrate.stage')
  assert.deepEqual(stages.map(({ attributes }) => attributes['stage']), [1])
  const ids = [...a.spans, ...b.spans].map(({ spanId }) => spanId)
  assert.equal(new Set(ids).size, ids.length, 'no two spans share an id')
})

test('all choices move as one, each with its own tokens; one that had ended comes along with its end', () => {
  const stopped = expectedChoice(longRequest('a', { n: 3 }), 1, SMALL_SHAPE)[2]!
  for (const options of [{ n: 3 }, { n: 3, sampling: { stopTokenIds: [stopped] } }]) {
    const message = longRequest('a', options)
    const { network, router, a, b } = pair(message)
    a.deliver(migrate(), 'migrator/m')
    settle(network)
    for (const [index, { tokenIds, isFinished }] of router.requests.get('a')!.choices.entries()) assert.deepEqual([tokenIds, isFinished], [expectedChoice(message, index, SMALL_SHAPE), true])
    assert.deepEqual([loadOf(b).migrations.inTotal, heldBlocksOf(a), heldBlocksOf(b)], [1, 0, 0])
    b.deliver({ kind: 'locate', requestId: 'a' }, 'router/r2')
    assert.deepEqual(sentTo(b, 'router/r2', 'located')[0]?.request.emittedIds.map(({ length }) => length), message.emittedIds.map((_, index) => expectedChoice(message, index, SMALL_SHAPE).length))
  }
})

test('five moves there and back change nothing', () => {
  const message = longRequest('a', { sampling: { maxTokens: 60 } })
  const { network, router, a, b } = pair(message)
  for (let move = 0; move < 5; move++) {
    const [from, to] = move % 2 === 0 ? [a, 'b'] : [b, 'a']
    from.deliver(migrate({ to: { instanceId: to, address: `instance/${to}` } }), 'migrator/m')
    for (let round = 0; round < 8; round++) network.round()
  }
  settle(network)
  assert.deepEqual(router.requests.get('a')!.choices[0]!.tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
  assert.deepEqual([loadOf(a).migrations.outTotal, loadOf(b).migrations.outTotal], [3, 2])
})

test('an instance that moves one request takes and gives no other', () => {
  const { network, a, b } = pair(longRequest('a'))
  b.deliver(longRequest('x'))
  for (let round = 0; round < 6; round++) network.round()
  a.deliver(migrate(), 'migrator/m')
  b.deliver(migrate({ requestId: 'x', to: { instanceId: 'a', address: 'instance/a' } }), 'migrator/m')
  network.deliver()
  assert.deepEqual([sentTo(a, PEER, 'declined')[0]?.reason, sentTo(b, 'instance/a', 'declined')[0]?.reason], ['busy', 'busy'])
})

test('a destination without room says so at once', () => {
  const message = longRequest('a')
  const { network, router, a, b } = pair(message, { shape: { numBlocks: 20 } })
  b.deliver(longRequest('x', { promptIds: Array.from({ length: 60 }, (_, place) => 300 + place), sampling: { maxTokens: 20 } }))
  for (let round = 0; round < 10; round++) network.round()
  a.deliver(migrate(), 'migrator/m')
  network.deliver()
  assert.deepEqual(sentTo(b, 'instance/a', 'declined').map(({ reason }) => reason), ['no_capacity'])
  settle(network)
  assert.deepEqual(router.requests.get('a')!.choices[0]!.tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
})

test('a destination makes room for what the request grows by, and gives it up where there is none', () => {
  for (const numBlocks of [24, 7]) {
    const driver = new InstanceNetwork().add('b', { shape: { numBlocks } })
    driver.onSend = () => {}
    const request = longRequest('a', { emittedIds: [[1, 2, 3]], sampling: { maxTokens: 10 } })
    driver.deliver({ kind: 'reserve', sourceId: 'a', request, isLive: true, remainingMs: null, router: 'router/r1', kvAddress: 'kv/a', modelFingerprint: SMALL_SHAPE.modelFingerprint }, 'instance/a')
    assert.deepEqual([sentTo(driver, 'instance/a', 'reserved').length, heldBlocksOf(driver)], [1, 5])
    driver.deliver({ kind: 'offer', requestId: 'a', epoch: EPOCH, sequence: 0, firstBlock: 5, numBlocks: 3, token: 't' }, 'instance/a')
    const isFull = numBlocks === 7
    assert.deepEqual([heldBlocksOf(driver), driver.pulls.size, sentTo(driver, 'instance/a', 'declined').map(({ reason }) => reason)], isFull ? [0, 0, ['no_capacity']] : [8, 1, []])
  }
})
