// Guarded requests: each begins on its router's word, one at a time, and ends in every way that a waiting one does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedChoice, generateMessage, instanceFixture, InstanceNetwork, loadOf, SMALL_SHAPE } from '@rubato/testing'
import type { InstanceDriver } from '@rubato/testing'
import type { GenerateMessage } from '../messages.ts'

const askedOf = (driver: InstanceDriver): string[] => driver.sent.flatMap(({ payload }) => (payload.kind === 'may-begin' ? [payload.requestId] : []))
const guarded = (requestId: string, options: Parameters<typeof generateMessage>[1] = {}): GenerateMessage => generateMessage(requestId, { guarded: true, recovered: true, ...options })

function begin(driver: InstanceDriver, { requestId, epoch }: GenerateMessage, from?: string): void {
  driver.deliver({ kind: 'begin', requestId, epoch }, from)
}

function acknowledge(driver: InstanceDriver, { requestId, epoch }: GenerateMessage, nextIndex: number, from?: string): void {
  driver.deliver({ kind: 'ack', acks: [{ requestId, epoch, sequence: 0, nextIndex }] }, from)
}

function assertEmits(driver: InstanceDriver, message: GenerateMessage): void {
  assert.deepEqual(driver.choice(message.requestId).tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
}

function assertEmpty(driver: InstanceDriver): void {
  driver.runToIdle()
  driver.deliver({ kind: 'hello' })
  const { numRunning, numWaiting, freeBlocks, cachedBlocks, totalBlocks } = loadOf(driver)
  assert.deepEqual([numRunning, numWaiting, freeBlocks + cachedBlocks, driver.engine.numLive], [0, 0, totalBlocks, 0])
}

test('a guarded request waits for its router while others pass it, and goes before them once it may', () => {
  const driver = instanceFixture()
  const [held, ...others] = [guarded('held'), generateMessage('b'), generateMessage('c')]
  driver.deliver(held!)
  assert.deepEqual([driver.command, askedOf(driver), loadOf(driver).numWaiting], [null, ['held'], 1])
  for (const other of others) driver.deliver(other)
  driver.runToIdle()
  for (const other of others) assertEmits(driver, other)
  assert.deepEqual([askedOf(driver), driver.choice('held').tokenIds], [['held'], []])
  begin(driver, held!)
  driver.runToIdle()
  assertEmits(driver, held!)
  assertEmpty(driver)
})

test('one at a time, whoever their routers are: the next is asked for when a token of the one before is known to have come', () => {
  const driver = instanceFixture()
  const known = expectedChoice(generateMessage('first', { promptLen: 20 }), 0, SMALL_SHAPE).slice(0, 2)
  const [first, second] = [guarded('first', { promptLen: 20, emittedIds: [known] }), guarded('second')]
  driver.choice('first', 0, known)
  driver.deliver(first)
  driver.deliver(second, 'router/r2')
  begin(driver, first)
  while (driver.command !== null) {
    acknowledge(driver, first, 2)
    driver.completeStep()
  }
  assert.deepEqual(askedOf(driver), ['first'])
  acknowledge(driver, first, 3)
  assert.deepEqual([askedOf(driver), driver.sent.filter(({ payload }) => payload.kind === 'may-begin').at(-1)?.to], [['first', 'second'], 'router/r2'])
  begin(driver, second, 'router/r2')
  driver.runToIdle()
  for (const message of [first, second]) assertEmits(driver, message)
  assertEmpty(driver)
})

test('it asks when the request could begin, and again with every report until it is answered', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 1, maxNumBatchedTokens: 32 } })
  const [running, held] = [generateMessage('running'), guarded('held')]
  driver.deliver(running)
  driver.deliver(held)
  while (loadOf(driver).numRunning > 0) {
    assert.deepEqual(askedOf(driver), [])
    driver.completeStep()
  }
  driver.runToIdle()
  assert.deepEqual(askedOf(driver), ['held'])
  driver.advance(3_000)
  assert.equal(askedOf(driver).length, 4)
  begin(driver, held)
  driver.completeStep()
  driver.advance(3_000)
  assert.equal(askedOf(driver).length, 4)
  assertEmpty(driver)
})

test('a word for another epoch, or of another router, begins nothing', () => {
  const driver = instanceFixture()
  const held = guarded('held', { epoch: { recovery: 2, hop: 0 } })
  driver.deliver(held)
  begin(driver, { ...held, epoch: { recovery: 1, hop: 0 } })
  begin(driver, held, 'router/r2')
  begin(driver, { ...held, requestId: 'unknown' })
  assert.equal(driver.command, null)
  begin(driver, held)
  assert.notEqual(driver.command, null)
})

test('of a router that is gone, a suspect that has begun is over with its first token', () => {
  const driver = instanceFixture()
  const [first, second] = [guarded('first', { promptLen: 40 }), guarded('second')]
  driver.deliver(first)
  driver.deliver(second, 'router/r2')
  begin(driver, first)
  driver.deliver({ kind: 'member-gone', address: 'router/r1' })
  driver.completeStep()
  assert.deepEqual(askedOf(driver), ['first'])
  driver.completeStep()
  assert.deepEqual(askedOf(driver), ['first', 'second'])
})

const ENDS: readonly (readonly [string, (driver: InstanceDriver, held: GenerateMessage) => void])[] = [
  ['an abort', (driver, { requestId, epoch }) => driver.deliver({ kind: 'abort', requestId, epoch, sequence: null })],
  ['an abort of its only choice', (driver, { requestId, epoch }) => driver.deliver({ kind: 'abort', requestId, epoch, sequence: 0 })],
  ['its deadline', (driver) => driver.advance(500)],
  ['a dispatch under a higher epoch that is refused', (driver, held) => {
    driver.deliver({ kind: 'drain' })
    driver.deliver({ ...held, epoch: { recovery: 1, hop: 0 } })
    driver.deliver({ kind: 'undrain' })
  }],
  ['the end of its time without a router', (driver) => {
    driver.deliver({ kind: 'member-gone', address: 'router/r1' })
    driver.advance(10_000)
  }],
]
for (const [what, end] of ENDS) {
  for (const isBegun of [false, true]) {
    test(`${what} frees a request that ${isBegun ? 'was let begin' : 'is held'}, and the next is asked for`, () => {
      const driver = instanceFixture()
      const held = guarded('held', { remainingMs: what === 'its deadline' ? 400 : null, promptLen: 40 })
      const next = guarded('next')
      driver.deliver(held)
      driver.deliver(next, 'router/r2')
      if (isBegun) begin(driver, held)
      end(driver, held)
      driver.deliver({ kind: 'hello' }, 'router/r2')
      if (driver.command !== null) driver.completeStep()
      assert.ok(askedOf(driver).includes('next'))
      begin(driver, next, 'router/r2')
      driver.runToIdle()
      assertEmits(driver, next)
      assertEmpty(driver)
    })
  }
}

test('the suspect of a router that is gone makes way at once; a router that attaches it has it begin as any other', () => {
  const driver = instanceFixture()
  const [orphan, next] = [guarded('orphan'), guarded('next')]
  driver.deliver(orphan)
  driver.deliver(next, 'router/r2')
  driver.deliver({ kind: 'member-gone', address: 'router/r1' })
  assert.deepEqual(askedOf(driver), ['orphan', 'next'])
  driver.deliver({ kind: 'attach', requestId: 'orphan', epoch: { recovery: 1, hop: 0 }, fromIndices: [0] }, 'router/r2')
  driver.runToIdle()
  assertEmits(driver, orphan)
  assert.deepEqual(askedOf(driver), ['orphan', 'next'])
  begin(driver, next, 'router/r2')
  driver.runToIdle()
  assertEmits(driver, next)
  assertEmpty(driver)
})

test('a request that is preempted after it was let begin is held no more', () => {
  const driver = instanceFixture({ shape: { numBlocks: 20 } })
  const [older, held] = [generateMessage('older', { promptLen: 30, sampling: { maxTokens: 40 }, priority: -1 }), guarded('held', { promptLen: 20, sampling: { maxTokens: 40 }, recovered: false })]
  driver.deliver(older)
  driver.completeStep()
  driver.deliver(held)
  driver.completeStep()
  begin(driver, held)
  driver.runToIdle()
  assert.ok(loadOf(driver).preemptionsTotal > 0)
  for (const message of [older, held]) assertEmits(driver, message)
  assert.deepEqual(askedOf(driver), ['held'])
  assertEmpty(driver)
})

test('a draining instance, and one whose role changes, lets what it holds begin; a held request does not move', () => {
  const driver = instanceFixture({ kvShipping: { kvAddress: 'kv/i1', signOffer: (text) => text } })
  const held = guarded('held')
  driver.deliver(held)
  driver.deliver({ kind: 'drain' })
  driver.deliver({ kind: 'set-role', role: 'prefill' })
  driver.deliver({ kind: 'migrate', requestId: 'held', to: { instanceId: 'b', address: 'instance/b' }, forMs: 0 })
  assert.equal(driver.sent.some(({ payload }) => payload.kind === 'reserve'), false)
  begin(driver, held)
  driver.runToIdle()
  assertEmits(driver, held)
  assertEmpty(driver)
})

test('a held prompt asks for no room elsewhere and keeps none from others; once begun it is handed over, and not held again', () => {
  const network = new InstanceNetwork()
  const [a, b] = [network.add('a'), network.add('b')]
  const to = { instanceId: 'b', address: 'instance/b' }
  const held = guarded('held', { handOffTo: to })
  network.send('router/r1', 'instance/a', held)
  // Urgent, and held at the head of the queue of b.
  network.send('router/r1', 'instance/b', guarded('other'))
  network.deliver()
  assert.deepEqual([askedOf(a), askedOf(b), a.sent.filter(({ payload }) => payload.kind === 'reserve').length], [['held'], ['other'], 0])
  network.send('router/r1', 'instance/a', { kind: 'begin', requestId: 'held', epoch: held.epoch })
  for (let round = 0; round < 200; round += 1) network.round()
  const runs = b.sent.flatMap(({ payload }) => (payload.kind === 'tokens' ? payload.runs : [])).filter(({ requestId }) => requestId === 'held')
  const expected = expectedChoice(held, 0, SMALL_SHAPE)
  assert.deepEqual(runs.flatMap(({ tokenIds }) => [...tokenIds]).slice(-(expected.length - 1)), expected.slice(1))
  assert.ok(!askedOf(b).includes('held'))
})

test('the last words name a recovered request that had brought no token, at whichever step', () => {
  for (const replay of ['cells', 'steps'] as const) {
    const message = guarded('poison', { guarded: false, emittedIds: [expectedChoice(generateMessage('poison'), 0, SMALL_SHAPE).slice(0, 3)] })
    const numSteps = ((): number => {
      const driver = instanceFixture({ shape: { replay } })
      driver.choice('poison', 0, message.emittedIds[0])
      driver.deliver(message)
      for (let count = 0; ; count += 1) if (driver.choice('poison').tokenIds.length > 3) return count; else driver.completeStep()
    })()
    assert.ok(numSteps > 1)
    for (let step = 0; step < numSteps; step += 1) {
      const driver = instanceFixture({ shape: { replay } })
      driver.choice('poison', 0, message.emittedIds[0])
      driver.deliver(message)
      for (let count = 0; count < step; count += 1) driver.completeStep()
      driver.failStep('poison')
      const gone = driver.sent.find(({ payload }) => payload.kind === 'gone')?.payload
      assert.deepEqual(gone?.kind === 'gone' && gone.begunIds, ['poison'], `${replay}, step ${step} of ${numSteps}`)
    }
  }
})
