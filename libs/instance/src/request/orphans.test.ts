// Requests whose router is gone: they go on in silence, are found, and are taken over without being computed again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedChoice, generateMessage, instanceFixture, SMALL_SHAPE } from '@rubato/testing'
import type { InstanceDriver } from '@rubato/testing'
import type { InstancePayload } from '../effects.ts'

const HEIR = 'router/r2'
const NEWER = { recovery: 1, hop: 0 }

function sentTo<K extends InstancePayload['kind']>(driver: InstanceDriver, address: string, kind: K): Extract<InstancePayload, { kind: K }>[] {
  return driver.sent.filter(({ to }) => to === address).map(({ payload }) => payload).filter((payload): payload is Extract<InstancePayload, { kind: K }> => payload.kind === kind)
}

/** A request with two tokens out whose router is then gone. */
function orphaned(options: Parameters<typeof generateMessage>[1] = {}): InstanceDriver {
  const driver = instanceFixture()
  driver.deliver(generateMessage('a', options))
  driver.completeStep()
  driver.completeStep()
  driver.deliver({ kind: 'member-gone', address: 'router/r1' }, 'cluster')
  return driver
}

test('an orphan generates in silence; its next router gets every token from where it asks', () => {
  const message = generateMessage('a', { n: 2 })
  const driver = orphaned({ n: 2 })
  const numBefore = sentTo(driver, 'router/r1', 'tokens').length
  driver.completeStep()
  assert.equal(sentTo(driver, 'router/r1', 'tokens').length, numBefore)
  const numSteps = driver.steps.length
  driver.deliver({ kind: 'attach', requestId: 'a', epoch: NEWER, fromIndices: [1, 0] }, HEIR)
  const [repeated] = sentTo(driver, HEIR, 'tokens')
  assert.deepEqual(repeated?.runs.map(({ firstIndex, tokenIds, epoch }) => [firstIndex, tokenIds.length, epoch]), [[1, 2, NEWER], [0, 3, NEWER]])
  driver.runToIdle()
  for (const index of [0, 1]) assert.deepEqual(driver.choice('a', index).tokenIds, expectedChoice(message, index, SMALL_SHAPE))
  assert.deepEqual(driver.steps.slice(numSteps).flatMap(({ admit }) => admit), [], 'nothing is computed again')
})

test('locate tells what is known by now, and nothing of what is not', () => {
  const driver = orphaned({ remainingMs: 5_000 })
  driver.advance(1_000)
  driver.deliver({ kind: 'locate', requestId: 'unknown' }, HEIR)
  driver.deliver({ kind: 'locate', requestId: 'a' }, HEIR)
  const located = sentTo(driver, HEIR, 'located')
  assert.equal(located.length, 1)
  assert.deepEqual([located[0]?.router, located[0]?.epoch, located[0]?.request.emittedIds], ['router/r1', { recovery: 0, hop: 0 }, [driver.choice('a').tokenIds]])
  assert.ok(located[0]!.request.remainingMs! <= 4_000)
})

test('an orphan is forgotten after its time, running or finished', () => {
  for (const maxTokens of [3, 100]) {
    const driver = orphaned({ sampling: { maxTokens } })
    driver.completeStep()
    driver.advance(9_900)
    driver.deliver({ kind: 'locate', requestId: 'a' }, HEIR)
    driver.advance(200)
    driver.deliver({ kind: 'locate', requestId: 'a' }, HEIR)
    assert.equal(sentTo(driver, HEIR, 'located').length, 1)
    driver.runToIdle()
    assert.equal(driver.engine.numLive, 0)
  }
})

test('a finished request whose tokens were all acknowledged is still there for the next router', () => {
  const driver = instanceFixture()
  const message = generateMessage('a', { sampling: { logprobs: 0 } })
  driver.deliver(message)
  driver.runToIdle()
  driver.deliver({ kind: 'ack', acks: [{ requestId: 'a', epoch: message.epoch, sequence: 0, nextIndex: 6 }] })
  driver.deliver({ kind: 'member-gone', address: 'router/r1' }, 'cluster')
  driver.deliver({ kind: 'locate', requestId: 'a' }, HEIR)
  assert.deepEqual(sentTo(driver, HEIR, 'located')[0]?.request.finishedSequences, [0])
  driver.deliver({ kind: 'attach', requestId: 'a', epoch: NEWER, fromIndices: [2] }, HEIR)
  const [run] = sentTo(driver, HEIR, 'tokens')[0]!.runs
  assert.deepEqual([run?.firstIndex, run?.tokenIds, run?.logprobs?.length, run?.finish?.reason], [2, expectedChoice(message, 0, SMALL_SHAPE).slice(2), 4, 'length'])
})

test('an attach that comes too late or is not newer is refused with what is held', () => {
  const driver = orphaned()
  driver.deliver({ kind: 'attach', requestId: 'a', epoch: { recovery: 0, hop: 5 }, fromIndices: [0] }, HEIR)
  driver.deliver({ kind: 'attach', requestId: 'gone', epoch: NEWER, fromIndices: [0] }, HEIR)
  assert.deepEqual(sentTo(driver, HEIR, 'refused').map(({ reason, heldEpoch }) => [reason, heldEpoch]), [['superseded', { recovery: 0, hop: 0 }], ['superseded', null]])
})

test('who asks for tokens of a request that never came, or came under an older recovery, is told that nothing is known', () => {
  const driver = instanceFixture()
  driver.deliver(generateMessage('a'))
  const ask = (requestId: string, recovery: number): void => driver.deliver({ kind: 'resend', requestId, epoch: { recovery, hop: 0 }, sequence: 0, fromIndex: 0 })
  ask('a', 0)
  assert.deepEqual(sentTo(driver, driver.router, 'refused'), [])
  ask('a', 3)
  ask('lost', 1)
  const refused = sentTo(driver, driver.router, 'refused')
  assert.deepEqual(refused.map(({ requestId, epoch, reason, heldEpoch }) => [requestId, epoch.recovery, reason, heldEpoch]), [['a', 3, 'superseded', null], ['lost', 1, 'superseded', null]])
})

test('an attach that has nothing to say is answered, and repeated with the same answer', () => {
  const driver = orphaned()
  for (let count = 0; count < 2; count++) driver.deliver({ kind: 'attach', requestId: 'a', epoch: NEWER, fromIndices: [2] }, HEIR)
  assert.deepEqual(sentTo(driver, HEIR, 'tokens').map(({ runs }) => runs.map(({ firstIndex, tokenIds }) => [firstIndex, tokenIds.length])), [[[2, 0]], [[2, 0]]])
})

test('a live request of another router is refused with its epoch; a finished one makes room', () => {
  const driver = instanceFixture()
  driver.deliver(generateMessage('a'))
  driver.deliver(generateMessage('a'), HEIR)
  assert.deepEqual(sentTo(driver, HEIR, 'refused').map(({ reason, heldEpoch }) => [reason, heldEpoch]), [['superseded', { recovery: 0, hop: 0 }]])
  driver.runToIdle()
  driver.deliver(generateMessage('a'), HEIR)
  assert.notEqual(driver.command, null)
})

test('finished requests are kept up to a number, the oldest go first', () => {
  const driver = instanceFixture()
  driver.afterReceive = () => {}
  for (let count = 0; count < 4_100; count++) {
    driver.deliver(generateMessage(`r${count}`, { promptLen: 1, sampling: { maxTokens: 1 } }))
    driver.runToIdle()
  }
  for (const requestId of ['r3', 'r4']) driver.deliver({ kind: 'locate', requestId }, HEIR)
  assert.deepEqual(sentTo(driver, HEIR, 'located').map(({ request }) => request.requestId), ['r4'])
})

test('a handed request that another router takes over at its source goes on there', () => {
  const driver = instanceFixture({ kvShipping: { kvAddress: 'kv/a', signOffer: (text) => text } })
  const message = generateMessage('a', { handOffTo: { instanceId: 'b', address: 'instance/b' } })
  driver.deliver(message)
  driver.deliver({ kind: 'reserved', requestId: 'a', epoch: message.epoch, numHeldBlocks: 0 }, 'instance/b')
  driver.runToIdle()
  driver.deliver({ kind: 'member-gone', address: 'router/r1' }, 'cluster')
  driver.deliver({ kind: 'attach', requestId: 'a', epoch: NEWER, fromIndices: [0] }, HEIR)
  driver.runToIdle()
  assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
  assert.equal(sentTo(driver, 'instance/b', 'abort').length, 1)
})
