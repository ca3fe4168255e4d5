import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenLog } from './token-log.ts'

const timing = { queueMs: 0, prefillMs: 0, cachedTokens: 0, preemptions: 0, acceptedDraftTokens: 0, migrations: 0 }
const entry = (tokenId: number) => ({ tokenId, logprob: -1, rank: 1, top: [] })

test('a log repeats what is not acknowledged, with its logprobs', () => {
  const log = new TokenLog([], true)
  log.append([7, 8, 9], [entry(7), entry(8), entry(9)])
  log.acknowledge(1)
  assert.deepEqual(log.runFrom(0), { firstIndex: 1, tokenIds: [8, 9], logprobs: [entry(8), entry(9)], finish: null })
  assert.deepEqual(log.runFrom(2), { firstIndex: 2, tokenIds: [9], logprobs: [entry(9)], finish: null })
  assert.equal(log.runFrom(3), null)
  assert.deepEqual(log.tokenIds, [7, 8, 9])
})

test('acknowledgements are cumulative and never go back', () => {
  const log = new TokenLog([1, 2], false)
  log.append([3, 4], null)
  log.acknowledge(3)
  log.acknowledge(1)
  assert.deepEqual(log.runFrom(0)?.tokenIds, [4])
  log.acknowledge(99)
  assert.equal(log.runFrom(0), null)
})

test('a log is settled when it ended and everything is acknowledged', () => {
  const log = new TokenLog([], false)
  log.append([5], null)
  log.acknowledge(1)
  assert.equal(log.isSettled, false)
  log.finish({ reason: 'length', stopTokenId: null, timing })
  assert.equal(log.isSettled, true)
  log.append([6], null)
  assert.equal(log.isSettled, false)
})

test('the end is repeated with the last tokens, or alone', () => {
  const log = new TokenLog([5], false)
  log.finish({ reason: 'stop', stopTokenId: 5, timing })
  assert.deepEqual(log.runFrom(4), { firstIndex: 1, tokenIds: [], logprobs: null, finish: { reason: 'stop', stopTokenId: 5, timing } })
})
