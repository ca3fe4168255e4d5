// What an instance reports of itself: load figures, roles, and spans of traced requests.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { childContext } from '@rubato/actor'
import { generateMessage, instanceFixture, InstanceNetwork, loadOf } from '@rubato/testing'
import type { LoadMessage } from '../messages.ts'

const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const COSTS = {
  decode: { fixedMs: 1, perSequenceMs: 1, perNodeMs: 0, perContextTokenMs: 0 }, cell: { fixedMs: 1, perTokenMs: 0, perPairMs: 0 }, correctionRatio: 1,
}

test('load has the context of what runs, and the head of the line counts in freeness', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 1, maxNumBatchedTokens: 32 } })
  assert.equal(loadOf(driver).freenessBlocks, 64)
  driver.deliver(generateMessage('a', { promptLen: 10 }))
  driver.deliver(generateMessage('b', { promptLen: 9 }))
  driver.completeStep()
  const report = loadOf(driver)
  assert.deepEqual([report.contextTokens, report.freenessBlocks], [10, 64 - 3 - 3])
})

test('what one router sent the others are told within 20 ms; a single router is not told what it knows', () => {
  for (const numRouters of [1, 2]) {
    const driver = instanceFixture()
    for (let index = 1; index <= numRouters; index++) driver.deliver({ kind: 'hello' }, `router/r${index}`)
    driver.deliver(generateMessage('a', { promptLen: 10 }), 'router/r1')
    const sentBefore = driver.sent.length
    driver.advance(20)
    const told = driver.sent.slice(sentBefore).filter(({ payload }) => payload.kind === 'load').map(({ to }) => to).toSorted()
    assert.deepEqual(told, numRouters === 1 ? [] : ['router/r1', 'router/r2'])
  }
})

test('a role is reported, changed and reported at once', () => {
  const driver = instanceFixture({ role: 'prefill' })
  assert.equal(loadOf(driver).role, 'prefill')
  driver.deliver({ kind: 'set-role', role: 'decode' }, 'operator')
  const { to, payload } = driver.sent.at(-1)!
  assert.deepEqual([to, (payload as LoadMessage).role], [driver.router, 'decode'])
})

test('the cost model is corrected by what steps took; where KV is pulled from is told', () => {
  const driver = instanceFixture({ costModel: COSTS, kvShipping: { kvAddress: 'host:1', signOffer: (text) => text } })
  assert.deepEqual([loadOf(driver).costModel?.correctionRatio, loadOf(driver).kvAddress], [1, 'host:1'])
  driver.deliver(generateMessage('a'))
  driver.runToIdle()
  assert.ok(loadOf(driver).costModel!.correctionRatio < 1, 'steps of 1 ms were predicted to take 2')
})

test('spans of a request that moves: queue, cells, transfers and decode, all under the one it came with', () => {
  const network = new InstanceNetwork()
  const [a, b] = [network.add('a', { limits: { maxNumSeqs: 8, maxNumBatchedTokens: 8 } }), network.add('b')]
  network.send('router/r1', 'instance/a', generateMessage('r', { promptLen: 18, trace: TRACE, handOffTo: { instanceId: 'b', address: 'instance/b' } }))
  for (let round = 0; round < 40; round++) {
    network.advance(1)
    network.round()
  }
  assert.deepEqual(a.spans.map(({ name }) => name), ['prefill.queue', 'prefill.cell', 'prefill.cell', 'prefill.cell'])
  assert.deepEqual(a.spans.map(({ attributes }) => attributes['tokens']), [undefined, 8, 8, 2])
  assert.deepEqual([...new Set(b.spans.map(({ name }) => name))], ['kv.transfer', 'decode.run'])
  assert.equal(b.spans.filter(({ name }) => name === 'kv.transfer').reduce((sum, { attributes }) => sum + Number(attributes['blocks']), 0), 5)
  assert.equal(b.spans.at(-1)?.attributes['tokens'], 5)
  for (const span of [...a.spans, ...b.spans]) {
    assert.deepEqual([span.traceId, span.parentSpanId, span.error], [TRACE.traceId, TRACE.spanId, null])
    assert.ok(span.endMs >= span.startMs)
  }
  assert.equal(a.spans[0]?.spanId, childContext(TRACE, 'prefill.queue', 0).spanId)
  assert.equal(new Set([...a.spans, ...b.spans].map(({ spanId }) => spanId)).size, a.spans.length + b.spans.length)
})

test('a request without a trace has no spans', () => {
  const driver = instanceFixture()
  driver.deliver(generateMessage('a'))
  driver.runToIdle()
  assert.deepEqual(driver.spans, [])
})
