// The actor's transitions that routers see: taking, refusing, acknowledging, aborting, reporting, dying.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedChoice, generateMessage, instanceFixture, SMALL_SHAPE, loadOf } from '@rubato/testing'
import type { InstanceDriver } from '@rubato/testing'
import type { InstanceReport } from './messages.ts'

function sentOf<K extends InstanceReport['kind']>(driver: InstanceDriver, kind: K): Extract<InstanceReport, { kind: K }>[] {
  return driver.sent.map(({ payload }) => payload).filter((payload): payload is Extract<InstanceReport, { kind: K }> => payload.kind === kind)
}

test('a request runs to its end and its tokens arrive once, in order', () => {
  const driver = instanceFixture()
  const message = generateMessage('a', { promptLen: 20 })
  driver.deliver(message)
  driver.runToIdle()
  const choice = driver.choice('a')
  assert.deepEqual(choice.tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
  assert.equal(choice.numRepeated, 0)
  assert.equal(choice.finish?.reason, 'length')
  assert.equal(loadOf(driver).freeBlocks + loadOf(driver).cachedBlocks, SMALL_SHAPE.numBlocks)
})

test('one message per step and router carries all sequences', () => {
  const driver = instanceFixture()
  for (const [name, router] of [['a', 'router/r1'], ['b', 'router/r1'], ['c', 'router/r2']] as const) driver.deliver(generateMessage(name, { promptLen: 4 }), router)
  driver.runToIdle()
  const messages = driver.sent.filter(({ payload }) => payload.kind === 'tokens')
  assert.equal(new Set(messages.map(({ to }) => to)).size, 2)
  const widest = messages.map(({ payload }) => (payload.kind === 'tokens' ? payload.runs.length : 0))
  assert.equal(Math.max(...widest), 2)
  assert.equal(messages.filter(({ to }) => to === 'router/r2').length, 6)
})

test('epochs: a duplicate is ignored, an older one superseded, a newer one replaces', () => {
  const driver = instanceFixture()
  const message = generateMessage('a', { epoch: { recovery: 1, hop: 0 } })
  driver.deliver(message)
  driver.completeStep()
  driver.deliver(message)
  driver.deliver({ ...message, epoch: { recovery: 0, hop: 7 } })
  assert.deepEqual(sentOf(driver, 'refused').map(({ reason, epoch }) => [reason, epoch]), [['superseded', { recovery: 0, hop: 7 }]])
  const emittedIds = [driver.choice('a').tokenIds.slice()]
  driver.deliver({ ...message, epoch: { recovery: 1, hop: 1 }, emittedIds })
  driver.runToIdle()
  assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
  const runs = sentOf(driver, 'tokens').flatMap((tokens) => tokens.runs)
  assert.deepEqual(runs.at(-1)?.epoch, { recovery: 1, hop: 1 })
})

const REFUSALS = [
  ['longer than the context', { promptLen: 250, sampling: { maxTokens: 7 } }, {}],
  ['longer than the pool', { promptLen: 60, sampling: { maxTokens: 30 } }, { shape: { numBlocks: 22 } }],
  ['choices longer than the pool', { promptLen: 8, n: 4, sampling: { maxTokens: 30 } }, { shape: { numBlocks: 32 } }],
  ['more choices than sequences', { n: 9 }, {}],
  ['an empty prompt', { promptLen: 0 }, {}],
] as const

for (const [name, options, fixture] of REFUSALS) {
  test(`refused as too long: ${name}`, () => {
    const driver = instanceFixture(fixture)
    driver.deliver(generateMessage('a', options))
    assert.deepEqual(sentOf(driver, 'refused').map(({ reason, requestId }) => [reason, requestId]), [['too_long', 'a']])
    assert.equal(driver.command, null)
  })
}

test('a request that just fits the pool runs alone in it', () => {
  const driver = instanceFixture({ shape: { numBlocks: 22 } })
  const message = generateMessage('a', { promptLen: 60, sampling: { maxTokens: 29 } })
  driver.deliver(message)
  driver.runToIdle()
  assert.deepEqual(driver.choice('a').tokenIds, expectedChoice(message, 0, { ...SMALL_SHAPE, numBlocks: 22 }))
})

test('a draining instance refuses new requests, finishes what it has, and can come back', () => {
  const driver = instanceFixture()
  const message = generateMessage('a')
  driver.deliver(message)
  driver.deliver({ kind: 'drain' })
  assert.equal(sentOf(driver, 'load').at(-1)?.draining, true)
  driver.deliver(generateMessage('b'))
  assert.deepEqual(sentOf(driver, 'refused').map(({ reason }) => reason), ['draining'])
  driver.runToIdle()
  assert.equal(driver.choice('a').finish?.reason, 'length')
  driver.deliver({ kind: 'undrain' })
  driver.deliver(generateMessage('b'))
  driver.runToIdle()
  assert.equal(driver.choice('b').finish?.reason, 'length')
})

test('aborting a waiting request frees it at once, a running one with the next step', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 1, maxNumBatchedTokens: 32 } })
  const [a, b] = [generateMessage('a', { promptLen: 12, sampling: { maxTokens: 50 } }), generateMessage('b')]
  driver.deliver(a)
  driver.deliver(b)
  driver.completeStep()
  assert.deepEqual([loadOf(driver).numRunning, loadOf(driver).numWaiting], [1, 1])
  driver.deliver({ kind: 'abort', requestId: 'b', epoch: b.epoch, sequence: null })
  assert.equal(loadOf(driver).numWaiting, 0)
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: a.epoch, sequence: null })
  const numTokens = driver.choice('a').tokenIds.length
  driver.completeStep()
  assert.deepEqual(driver.command?.release.length, 1)
  driver.completeStep()
  assert.equal(driver.command, null)
  assert.equal(driver.choice('a').tokenIds.length, numTokens)
  assert.equal(loadOf(driver).freeBlocks + loadOf(driver).cachedBlocks, SMALL_SHAPE.numBlocks)
  assert.equal(driver.engine.numLive, 0)
})

test('an abort of an older epoch is stale', () => {
  const driver = instanceFixture()
  driver.deliver(generateMessage('a', { epoch: { recovery: 2, hop: 0 } }))
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: { recovery: 1, hop: 9 }, sequence: null })
  driver.deliver({ kind: 'abort', requestId: 'unknown', epoch: { recovery: 0, hop: 0 }, sequence: 0 })
  driver.runToIdle()
  assert.equal(driver.choice('a').finish?.reason, 'length')
})

test('unacknowledged tokens are repeated on request; acknowledged ones are gone', () => {
  const driver = instanceFixture()
  const { epoch } = generateMessage('a')
  driver.deliver(generateMessage('a'))
  driver.runToIdle()
  driver.deliver({ kind: 'resend', requestId: 'a', epoch, sequence: 0, fromIndex: 2 })
  assert.deepEqual(sentOf(driver, 'tokens').at(-1)?.runs.map(({ firstIndex, tokenIds }) => [firstIndex, tokenIds.length]), [[2, 4]])
  assert.equal(sentOf(driver, 'tokens').at(-1)?.runs[0]?.finish?.reason, 'length')
  driver.deliver({ kind: 'ack', acks: [{ requestId: 'a', epoch, sequence: 0, nextIndex: 5 }] })
  driver.deliver({ kind: 'resend', requestId: 'a', epoch, sequence: 0, fromIndex: 0 })
  assert.equal(sentOf(driver, 'tokens').at(-1)?.runs[0]?.firstIndex, 5)
  driver.deliver({ kind: 'ack', acks: [{ requestId: 'a', epoch, sequence: 0, nextIndex: 6 }] })
  const numSent = driver.sent.length
  driver.deliver({ kind: 'resend', requestId: 'a', epoch, sequence: 0, fromIndex: 0 })
  assert.equal(driver.sent.length, numSent)
})

test('unacknowledged ends are kept for ten seconds', () => {
  const driver = instanceFixture()
  const { epoch } = generateMessage('a')
  driver.deliver(generateMessage('a'))
  driver.runToIdle()
  const ask = (): string | undefined => {
    driver.deliver({ kind: 'resend', requestId: 'a', epoch, sequence: 0, fromIndex: 0 })
    return driver.sent.at(-1)?.payload.kind
  }
  driver.advance(9_990)
  assert.equal(ask(), 'tokens')
  driver.advance(20)
  assert.equal(ask(), 'refused')
})

test('a request past its deadline is freed, waiting or running', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 1, maxNumBatchedTokens: 32 } })
  driver.deliver(generateMessage('a', { remainingMs: 50, sampling: { maxTokens: 100 } }))
  driver.deliver(generateMessage('b', { remainingMs: 30 }))
  driver.advance(40)
  assert.deepEqual([loadOf(driver).numRunning, loadOf(driver).numWaiting], [1, 0])
  driver.advance(20)
  assert.equal(loadOf(driver).numRunning, 0)
  driver.runToIdle()
  assert.equal(driver.engine.numLive, 0)
})

test('load is reported every 200 ms while busy and every second while idle, to every known router', () => {
  const driver = instanceFixture()
  driver.deliver({ kind: 'hello' }, 'router/r1')
  driver.deliver({ kind: 'hello' }, 'router/r2')
  const count = (durationMs: number): number => {
    const before = driver.sent.length
    driver.advance(durationMs)
    return driver.sent.length - before
  }
  assert.equal(count(3_000), 6)
  driver.deliver(generateMessage('a'))
  assert.equal(count(1_000), 10)
  driver.runToIdle()
  assert.equal(loadOf(driver).numRunning, 0)
})

test('load counts what waits and what runs', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 1, maxNumBatchedTokens: 8 } })
  driver.deliver(generateMessage('a', { promptLen: 20 }))
  driver.deliver(generateMessage('b', { promptLen: 7 }))
  driver.completeStep()
  const report = loadOf(driver)
  assert.deepEqual([report.numRunning, report.numWaiting, report.pendingPrefillTokens], [1, 1, 12 + 7])
  assert.equal(report.totalBlocks - report.freeBlocks - report.cachedBlocks, 5)
  assert.equal(report.lastStepMs, 1)
})

test('a failed step is the end: gone is said once and nothing happens any more', () => {
  const driver = instanceFixture()
  driver.deliver({ kind: 'hello' }, 'router/r2')
  driver.deliver(generateMessage('a'))
  driver.failStep('out of memory')
  assert.deepEqual(driver.sent.filter(({ payload }) => payload.kind === 'gone').map(({ to }) => to), ['router/r2', 'router/r1'])
  assert.equal(sentOf(driver, 'gone')[0]?.reason, 'out of memory')
  const numSent = driver.sent.length
  driver.deliver(generateMessage('b'))
  driver.advance(5_000)
  assert.equal(driver.command, null)
  assert.equal(driver.numTimers, 0)
  assert.equal(driver.sent.length, numSent)
  driver.deliver({ kind: 'hello' }, 'router/new')
  assert.equal(sentOf(driver, 'gone').length, 3)
})

test('the last words of an instance name the requests that its last step had begun, not those that decode or wait', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 2, maxNumBatchedTokens: 64 } })
  driver.deliver(generateMessage('decodes'))
  driver.completeStep()
  driver.deliver(generateMessage('begins'))
  driver.deliver(generateMessage('waits'))
  driver.completeStep()
  driver.failStep('poison')
  assert.deepEqual(sentOf(driver, 'gone').map(({ begunIds }) => begunIds), [['begins']])
})

test('completions of effects that nobody waits for change nothing', () => {
  const driver = instanceFixture()
  driver.deliver(generateMessage('a'))
  const numSent = driver.sent.length
  for (const [id, kind] of [[9999, 'engine'], [9999, 'timer'], [1, 'send']] as const) {
    driver.completeEffect(id, kind, { kind: 'failed', error: { code: 'late', message: 'late', retryable: false } })
    driver.completeEffect(id, kind, { kind: 'done', value: null })
  }
  assert.equal(driver.sent.length, numSent)
  driver.runToIdle()
  assert.equal(driver.choice('a').finish?.reason, 'length')
})

test('a choice that is recovered complete only gets its end', () => {
  const driver = instanceFixture()
  const message = generateMessage('a')
  const all = expectedChoice(message, 0, SMALL_SHAPE)
  driver.choice('a', 0, all)
  driver.deliver({ ...message, emittedIds: [all], recovered: true })
  assert.equal(driver.command, null)
  assert.equal(driver.choice('a').finish?.reason, 'length')
})
