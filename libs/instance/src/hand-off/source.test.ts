// The source's transitions, one message at a time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedChoice, generateMessage, instanceFixture, SMALL_SHAPE, heldBlocksOf, loadOf } from '@rubato/testing'
import type { GenerateOptions, InstanceDriver } from '@rubato/testing'
import type { InstancePayload } from '../effects.ts'
import type { GenerateMessage } from '../messages.ts'

const PEER = 'instance/b'
const EPOCH = { recovery: 0, hop: 0 }
const RAISED = { recovery: 0, hop: 1 }

function source(options: Parameters<typeof instanceFixture>[0] = {}): InstanceDriver {
  return instanceFixture({ limits: { maxNumSeqs: 8, maxNumBatchedTokens: 8 }, kvShipping: { kvAddress: 'kv/a', signOffer: (text) => `signed ${text}` }, ...options })
}

function handed(name: string, options: GenerateOptions = {}): GenerateMessage {
  return generateMessage(name, { promptLen: 18, handOffTo: { instanceId: 'b', address: PEER }, ...options })
}

function toPeer<K extends InstancePayload['kind']>(driver: InstanceDriver, kind: K): Extract<InstancePayload, { kind: K }>[] {
  return driver.sent.filter(({ to }) => to === PEER).map(({ payload }) => payload).filter((payload): payload is Extract<InstancePayload, { kind: K }> => payload.kind === kind)
}

function reserved(driver: InstanceDriver, numHeldBlocks = 0): void {
  driver.deliver({ kind: 'reserved', requestId: 'a', epoch: EPOCH, numHeldBlocks }, PEER)
}

/** A request whose prompt is done and whose hand-off was sent. */
function handedOver(options: GenerateOptions = {}): InstanceDriver {
  const driver = source()
  driver.deliver(handed('a', options))
  reserved(driver)
  driver.runToIdle()
  return driver
}

test('room is asked for at admission, each cell is offered as it ends, and the hand-off follows the first token', () => {
  const driver = source()
  driver.deliver(handed('a'))
  assert.deepEqual(toPeer(driver, 'reserve').map(({ kvAddress, router, request }) => [kvAddress, router, request.requestId]), [['kv/a', 'router/r1', 'a']])
  reserved(driver)
  const offers: (readonly [number, number])[][] = []
  while (driver.command !== null) {
    driver.completeStep()
    offers.push(toPeer(driver, 'offer').map(({ firstBlock, numBlocks }) => [firstBlock, numBlocks] as const))
  }
  assert.deepEqual(offers, [[[0, 2]], [[0, 2], [2, 2]], [[0, 2], [2, 2], [4, 1]]])
  assert.deepEqual([...driver.serves.values()].map(({ blockIds }) => blockIds.length), [2, 2, 1])
  const [handOff] = toPeer(driver, 'hand-off')
  const [first] = expectedChoice(handed('a'), 0, SMALL_SHAPE)
  assert.deepEqual([handOff?.epoch, handOff?.sequences.map(({ tokenIds, ackedIndex, finish }) => [tokenIds, ackedIndex, finish])], [RAISED, [[[first], 0, null]]])
  assert.deepEqual(driver.choice('a').tokenIds, [first])
})

test('an offer names what it holds and no two have the same token', () => {
  const driver = handedOver()
  const tokens = toPeer(driver, 'offer').map(({ token }) => token)
  assert.equal(new Set(tokens).size, 3)
  assert.deepEqual(tokens, [...driver.serves.values()].map(({ token }) => token))
})

test('blocks that the destination holds are never offered', () => {
  const driver = source()
  driver.deliver(handed('a'))
  reserved(driver, 3)
  driver.runToIdle()
  assert.deepEqual(toPeer(driver, 'offer').map(({ firstBlock, numBlocks }) => [firstBlock, numBlocks]), [[3, 1], [4, 1]])
})

test('a prompt waits with its blocks for a destination without room, and goes on when there is some', () => {
  const driver = source()
  driver.deliver(handed('a'))
  driver.runToIdle()
  assert.deepEqual([toPeer(driver, 'offer').length, toPeer(driver, 'hand-off').length, heldBlocksOf(driver)], [0, 0, 5])
  driver.advance(3_500)
  assert.equal(toPeer(driver, 'reserve').length, 4)
  reserved(driver)
  assert.deepEqual([toPeer(driver, 'offer').length, toPeer(driver, 'hand-off').length], [1, 1])
})

test('taken: everything is free and the prompt stays in the prefix cache', () => {
  const driver = handedOver()
  assert.equal(heldBlocksOf(driver), 5)
  driver.deliver({ kind: 'taken', requestId: 'a', epoch: RAISED }, PEER)
  driver.runToIdle()
  assert.deepEqual([heldBlocksOf(driver), loadOf(driver).cachedBlocks, driver.serves.size, driver.engine.numLive], [0, 4, 0, 0])
  assert.equal(toPeer(driver, 'abort').length, 0)
})

test('the hand-off is repeated every second, with the offers nobody has pulled, until it is answered', () => {
  const driver = handedOver()
  driver.advance(2_500)
  assert.deepEqual([toPeer(driver, 'hand-off').length, toPeer(driver, 'offer').length], [3, 9])
  driver.deliver({ kind: 'taken', requestId: 'a', epoch: RAISED }, PEER)
  driver.advance(5_000)
  assert.equal(toPeer(driver, 'hand-off').length, 3)
})

const KEPT: readonly (readonly [name: string, end: (driver: InstanceDriver) => void, numAborts: number])[] = [
  ['declined', (driver) => driver.deliver({ kind: 'declined', requestId: 'a', epoch: EPOCH, reason: 'draining' }, PEER), 0],
  ['no answer for ten seconds', (driver) => driver.advance(10_100), 1],
  ['the destination is gone', (driver) => driver.deliver({ kind: 'member-gone', address: PEER }, 'cluster'), 0],
]

for (const [name, end, numAborts] of KEPT) {
  for (const moment of ['during the prompt', 'after it']) {
    test(`kept and decoded here when ${name} ${moment}`, () => {
      const driver = source()
      const message = handed('a', { n: 2 })
      driver.deliver(message)
      if (moment === 'after it') driver.runToIdle()
      end(driver)
      driver.runToIdle()
      for (const index of [0, 1]) assert.deepEqual(driver.choice('a', index).tokenIds, expectedChoice(message, index, SMALL_SHAPE))
      assert.deepEqual([heldBlocksOf(driver), driver.serves.size, toPeer(driver, 'abort').length], [0, 0, numAborts])
    })
  }
}

test('kept when one range could not be pulled three times', () => {
  const driver = source()
  const message = handed('a')
  driver.deliver(message)
  reserved(driver)
  driver.completeStep()
  for (let attempt = 1; attempt <= 3; attempt++) {
    const { token, firstBlock } = toPeer(driver, 'offer').at(-1)!
    assert.equal(firstBlock, 0)
    assert.equal(toPeer(driver, 'abort').length, 0)
    driver.deliver({ kind: 'not-pulled', requestId: 'a', epoch: EPOCH, token, message: 'corrupt' }, PEER)
  }
  assert.equal(toPeer(driver, 'abort').length, 1)
  driver.runToIdle()
  assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
})

test('a failed pull and its failed serve count once', () => {
  const driver = source()
  driver.deliver(handed('a'))
  reserved(driver)
  driver.completeStep()
  const [effectId, { token }] = [...driver.serves][0]!
  driver.completeTransfer(effectId, { kind: 'failed', error: { code: 'kv_not_pulled', message: '', retryable: true } })
  driver.deliver({ kind: 'not-pulled', requestId: 'a', epoch: EPOCH, token, message: '' }, PEER)
  assert.equal(toPeer(driver, 'offer').length, 2)
})

test('after the hand-off only a refusal of the raised epoch gives the request back', () => {
  const driver = handedOver({ n: 2 })
  driver.deliver({ kind: 'declined', requestId: 'a', epoch: EPOCH, reason: 'superseded' }, PEER)
  assert.equal(driver.command, null)
  driver.deliver({ kind: 'declined', requestId: 'a', epoch: RAISED, reason: 'link_failed' }, PEER)
  driver.runToIdle()
  for (const index of [0, 1]) assert.deepEqual(driver.choice('a', index).tokenIds, expectedChoice(handed('a', { n: 2 }), index, SMALL_SHAPE))
  assert.equal(heldBlocksOf(driver), 0)
})

test('a destination that is gone with the hand-off leaves the request to the router, ten seconds at most', () => {
  const driver = handedOver()
  driver.deliver({ kind: 'member-gone', address: PEER }, 'cluster')
  driver.deliver({ kind: 'resend', requestId: 'a', epoch: EPOCH, sequence: 0, fromIndex: 0 })
  driver.advance(9_900)
  assert.equal(heldBlocksOf(driver), 5)
  driver.advance(200)
  driver.runToIdle()
  assert.deepEqual([heldBlocksOf(driver), driver.choice('a').tokenIds.length], [0, 1])
})

test('its router is told every second who holds the request, and has it freed when it has no use for it', () => {
  const driver = handedOver()
  driver.deliver({ kind: 'member-gone', address: PEER }, 'cluster')
  driver.advance(2_500)
  assert.equal(driver.choice('a').numRepeated, 3)
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: null })
  driver.runToIdle()
  driver.advance(2_500)
  assert.deepEqual([heldBlocksOf(driver), driver.choice('a').numRepeated, toPeer(driver, 'abort').length], [0, 3, 0])
})

test('a destination that reserved what is not handed over any more is told to free it', () => {
  const driver = handedOver()
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: EPOCH, sequence: null })
  reserved(driver)
  assert.deepEqual(toPeer(driver, 'abort').map(({ requestId, epoch, sequence }) => [requestId, epoch, sequence]), [['a', EPOCH, null], ['a', EPOCH, null]])
})

test('a choice that ended with its first token goes along with its end; when all did, the room is given back', () => {
  const message = handed('a', { n: 2 })
  const [first] = expectedChoice(message, 0, SMALL_SHAPE)
  const one = source()
  one.deliver({ ...message, sampling: { ...message.sampling, stopTokenIds: [first!] } })
  reserved(one)
  one.runToIdle()
  assert.deepEqual(toPeer(one, 'hand-off')[0]?.sequences.map(({ finish }) => finish?.reason ?? null), ['stop', null])
  const all = source()
  all.deliver({ ...message, sampling: { ...message.sampling, maxTokens: 1 } })
  reserved(all)
  all.runToIdle()
  assert.deepEqual([toPeer(all, 'hand-off').length, toPeer(all, 'abort').length, heldBlocksOf(all), all.serves.size], [0, 1, 0, 0])
})

test('an abort, whatever its hop, frees everything on both sides', () => {
  for (const epoch of [EPOCH, RAISED, { recovery: 0, hop: 9 }, { recovery: 3, hop: 0 }]) {
    const driver = handedOver()
    driver.deliver({ kind: 'abort', requestId: 'a', epoch, sequence: null })
    driver.runToIdle()
    assert.deepEqual([heldBlocksOf(driver), driver.serves.size, toPeer(driver, 'abort').length], [0, 0, 1])
  }
})

test('a newer dispatch replaces a request that was handed over', () => {
  const driver = handedOver()
  const message = generateMessage('a', { promptLen: 18, epoch: { recovery: 1, hop: 0 }, emittedIds: [driver.choice('a').tokenIds.slice()] })
  driver.deliver(message)
  driver.runToIdle()
  assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
  assert.equal(toPeer(driver, 'abort').length, 1)
})

test('recomputed requests, own addresses and instances without a link keep what they have', () => {
  const [first] = expectedChoice(handed('a'), 0, SMALL_SHAPE)
  const cases = [
    [source(), handed('a', { emittedIds: [[first!]] })],
    [source({ address: PEER }), handed('a')],
    [source({ kvShipping: null }), handed('a')],
  ] as const
  for (const [driver, message] of cases) {
    driver.choice('a', 0, message.emittedIds[0])
    driver.deliver(message)
    driver.runToIdle()
    assert.equal(toPeer(driver, 'reserve').length, 0)
    assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
  }
})

test('a prompt that is preempted takes its offers back, and offers the blocks again once they are computed again', () => {
  const driver = source({ shape: { numBlocks: 27 }, limits: { maxNumSeqs: 8, maxNumBatchedTokens: 12 } })
  const runner = generateMessage('x', { promptLen: 7, priority: 0, cacheSalt: 'x', sampling: { maxTokens: 40 } })
  const message = handed('a', { promptLen: 90, priority: 5 })
  driver.deliver(runner)
  driver.completeStep()
  driver.deliver(message)
  driver.completeStep()
  reserved(driver)
  while (loadOf(driver).preemptionsTotal === 0) driver.completeStep()
  assert.equal(driver.serves.size, 0, 'nobody can pull what is computed no more')
  const numBefore = toPeer(driver, 'offer').length
  driver.runToIdle()
  const again = toPeer(driver, 'offer').slice(numBefore)
  assert.equal(again.reduce((sum, { numBlocks }) => sum + numBlocks, 0), 23, 'every block, for none was pulled')
  assert.equal(toPeer(driver, 'hand-off').length, 1)
  assert.deepEqual(driver.choice('x').tokenIds, expectedChoice(runner, 0, SMALL_SHAPE))
})
