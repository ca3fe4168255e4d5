import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes, EOS, FIRST_HALF, finishOf, Rig, SECOND_HALF, WHOLE } from './fixtures/router-rig.ts'
import type { RequestOverrides } from './fixtures/router-rig.ts'

function live(request: RequestOverrides = {}): { rig: Rig; client: number } {
  const rig = new Rig()
  rig.load('a')
  return { rig, client: rig.submit(request) }
}

test('tokens become deltas, the last one carries the finish, then usage and timing follow', () => {
  const { rig, client } = live()
  rig.advance(10)
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.advance(20)
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('BC'), finish: finishOf('length') })
  assert.deepEqual(rig.eventsOf(client), [
    { kind: 'accepted', promptTokens: 2 },
    { kind: 'delta', index: 0, text: 'A', tokenIds: codes('A'), logprobs: null, finish: null, stopReason: null },
    { kind: 'delta', index: 0, text: 'BC', tokenIds: codes('BC'), logprobs: null, finish: 'length', stopReason: null },
    {
      kind: 'finished', usage: { promptTokens: 2, cachedTokens: 2, completionTokens: 3 }, systemFingerprint: 'f1',
      timing: { queueMs: 3, prefillMs: 4, ttftMs: 10, tpotMs: 10, acceptedDraftTokens: 1, migrations: 0, recoveries: 0 },
    },
  ])
  rig.advance(100)
  rig.assertEmpty()
})

test('the end-of-sequence id is among the token ids and the count, and not in the text', () => {
  const { rig, client } = live()
  rig.tokens('r1', { tokenIds: [...codes('A'), EOS], finish: finishOf('stop', EOS) })
  assert.equal(rig.text(client), 'A')
  assert.deepEqual(rig.tokenIds(client), [65, EOS])
  assert.deepEqual(rig.deltas(client)[0]!.stopReason, null)
  const last = rig.eventsOf(client).at(-1)!
  assert.ok(last.kind === 'finished' && last.usage.completionTokens === 2)
})

test('a stop id of the request is named as the reason; so is end-of-sequence where that was to be ignored', () => {
  const named = live({ sampling: { stopTokenIds: [90] } })
  named.rig.tokens('r1', { tokenIds: [90], finish: finishOf('stop', 90) })
  assert.deepEqual([named.rig.deltas(named.client)[0]!.stopReason, named.rig.text(named.client)], [90, ''])
  const ignored = live({ sampling: { stopTokenIds: [EOS], ignoreEos: true } })
  ignored.rig.tokens('r1', { tokenIds: [EOS], finish: finishOf('stop', EOS) })
  assert.equal(ignored.rig.deltas(ignored.client)[0]!.stopReason, EOS)
})

test('duplicates are trimmed, wholly and partly, with their logprobs', () => {
  const { rig, client } = live({ sampling: { logprobs: 1 } })
  const logprobs = (text: string) => codes(text).map((tokenId) => ({ tokenId, logprob: -1, rank: 1, top: [{ tokenId: 66, logprob: -1 }] }))
  rig.tokens('r1', { tokenIds: codes('AB'), logprobs: logprobs('AB') })
  rig.tokens('r1', { tokenIds: codes('AB'), logprobs: logprobs('AB') })
  rig.tokens('r1', { tokenIds: codes('ABC'), logprobs: logprobs('ABC') })
  assert.equal(rig.text(client), 'ABC')
  assert.deepEqual(rig.deltas(client).map(({ logprobs: entries }) => entries!.map(({ tokenId, bytes, topBytes }) => [tokenId, bytes[0], topBytes[0]![0]])), [[[65, 65, 66], [66, 66, 66]], [[67, 67, 66]]])
  assert.equal(rig.actor.snapshot().models[0]!.stats.duplicateTokensTotal, 4)
})

test('a gap is asked for once, nothing past it is taken, and the resend fills it', () => {
  const { rig, client } = live()
  rig.tokens('r1', { tokenIds: codes('A') })
  for (const [index, character] of ['C', 'D'].entries()) rig.tokens('r1', { firstIndex: 2 + index, tokenIds: codes(character) })
  assert.deepEqual(rig.sentOf('resend').map(({ sequence, fromIndex }) => [sequence, fromIndex]), [[0, 1]])
  assert.equal(rig.text(client), 'A')
  rig.advance(100)
  rig.tokens('r1', { firstIndex: 4, tokenIds: codes('E') })
  assert.equal(rig.sentOf('resend').length, 2)
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('BCDE'), finish: finishOf('length') })
  assert.equal(rig.text(client), 'ABCDE')
  assert.deepEqual(rig.kinds(client).at(-1), 'finished')
})

test('an end whose tokens are all known still ends the choice', () => {
  const { rig, client } = live()
  rig.tokens('r1', { tokenIds: codes('AB') })
  rig.tokens('r1', { tokenIds: codes('AB'), finish: finishOf('length') })
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta', 'delta', 'finished'])
  assert.deepEqual(rig.tokenIds(client), codes('AB'))
})

test('bytes of an unfinished character are held back, and become a replacement only at the end', () => {
  const { rig, client } = live()
  rig.tokens('r1', { tokenIds: [FIRST_HALF] })
  assert.deepEqual([rig.text(client), rig.tokenIds(client)], ['', [FIRST_HALF]])
  rig.tokens('r1', { firstIndex: 1, tokenIds: [SECOND_HALF, FIRST_HALF], finish: finishOf('length') })
  assert.equal(rig.text(client), `${WHOLE}\uFFFD`)
})

test('a stop string ends the choice across runs: its text is cut, later tokens count for nothing, the instance is told', () => {
  const { rig, client } = live({ stop: ['STOP', 'never'] })
  rig.tokens('r1', { tokenIds: codes('ab ST') })
  assert.equal(rig.text(client), 'ab ')
  rig.tokens('r1', { firstIndex: 5, tokenIds: codes('OPxyz') })
  assert.equal(rig.text(client), 'ab ')
  assert.deepEqual(rig.tokenIds(client), codes('ab STOP'))
  assert.deepEqual(rig.deltas(client).at(-1)!.stopReason, 'STOP')
  const last = rig.eventsOf(client).at(-1)!
  assert.ok(last.kind === 'finished' && last.usage.completionTokens === 7)
  assert.deepEqual(rig.sentOf('abort').map(({ sequence }) => sequence), [null])
  rig.tokens('r1', { firstIndex: 10, tokenIds: codes('more') })
  assert.equal(rig.kinds(client).filter((kind) => kind === 'finished').length, 1)
  rig.advance(100)
  rig.assertEmpty()
})

test('text held back as the beginning of a stop string comes out when the choice ends otherwise', () => {
  const { rig, client } = live({ stop: ['STOP'] })
  rig.tokens('r1', { tokenIds: codes('ab ST') })
  rig.tokens('r1', { firstIndex: 5, tokenIds: [EOS], finish: finishOf('stop', EOS) })
  assert.equal(rig.text(client), 'ab ST')
  assert.deepEqual([rig.deltas(client).at(-1)!.finish, rig.deltas(client).at(-1)!.stopReason], ['stop', null])
})

test('a stop string that completes on the last allowed token wins over length', () => {
  const { rig, client } = live({ stop: ['B'] })
  rig.tokens('r1', { tokenIds: codes('AB'), finish: finishOf('length') })
  assert.deepEqual([rig.text(client), rig.deltas(client)[0]!.finish, rig.deltas(client)[0]!.stopReason], ['A', 'stop', 'B'])
  assert.equal(rig.sentOf('abort').length, 0)
})

test('text of the first min_tokens tokens is not searched for stop strings', () => {
  const { rig, client } = live({ stop: ['A'], sampling: { minTokens: 2 } })
  rig.tokens('r1', { tokenIds: codes('AAxA') })
  assert.deepEqual([rig.text(client), rig.tokenIds(client)], ['AAx', codes('AAxA')])
})

test('echo puts the prompt in front of every choice, once', () => {
  const { rig, client } = live({ echo: true, n: 2 })
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B') })
  rig.tokens('r1', { sequence: 1, tokenIds: codes('C') })
  assert.deepEqual([rig.text(client, 0), rig.text(client, 1)], ['hiAB', 'hiC'])
  const ids = live({ echo: true, input: { kind: 'tokens', tokenIds: codes('ids') } })
  ids.rig.tokens('r1', { tokenIds: codes('!') })
  assert.equal(ids.rig.text(ids.client), 'ids!')
})

test('choices end on their own; the request ends with the last, and usage counts them all', () => {
  const { rig, client } = live({ n: 3, stop: ['#'] })
  rig.tokens('r1', { sequence: 1, tokenIds: codes('ab'), finish: finishOf('length') })
  rig.tokens('r1', { sequence: 0, tokenIds: codes('c#') })
  assert.deepEqual(rig.sentOf('abort').map(({ sequence }) => sequence), [0])
  rig.tokens('r1', { sequence: 0, firstIndex: 2, tokenIds: codes('late') })
  rig.tokens('r1', { sequence: 7, tokenIds: codes('?') })
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta', 'delta'])
  rig.tokens('r1', { sequence: 2, tokenIds: codes('def'), finish: finishOf('length') })
  const last = rig.eventsOf(client).at(-1)!
  assert.ok(last.kind === 'finished')
  assert.deepEqual(last.usage, { promptTokens: 2, cachedTokens: 2, completionTokens: 7 })
  rig.advance(100)
  rig.assertEmpty()
})

test('everything one step brings travels in one delivery', () => {
  const rig = new Rig()
  rig.load('a')
  for (let index = 0; index < 8; index += 1) rig.submit({ requestId: `r${index}` })
  rig.deliveries.length = 0
  const runs = rig.sentOf('generate').map(({ requestId, epoch }) => ({ requestId, epoch, sequence: 0, firstIndex: 0, tokenIds: [65], logprobs: null, finish: null }))
  rig.report({ kind: 'tokens', instanceId: 'a', incarnation: 1, runs })
  assert.deepEqual(rig.deliveries, [8])
})

test('acknowledgements are cumulative, one message per instance every 100 ms, the last one included', () => {
  const { rig } = live({ n: 2 })
  rig.tokens('r1', { tokenIds: codes('AB') })
  rig.tokens('r1', { firstIndex: 2, tokenIds: codes('C') })
  rig.tokens('r1', { sequence: 1, tokenIds: codes('D') })
  rig.advance(100)
  const acks = () => rig.sentOf('ack').map((message) => message.acks.map(({ sequence, nextIndex }) => [sequence, nextIndex]))
  assert.deepEqual(acks(), [[[0, 3], [1, 1]]])
  rig.advance(500)
  assert.equal(acks().length, 1)
  for (const sequence of [0, 1]) rig.tokens('r1', { sequence, firstIndex: sequence === 0 ? 3 : 1, tokenIds: codes('E'), finish: finishOf('length') })
  rig.advance(100)
  assert.deepEqual(acks()[1], [[0, 4], [1, 2]])
  rig.advance(1000)
  assert.equal(rig.numTimers, 0)
})

test('tokens of a request that is no more are answered with an abort, so that nothing is held for it', () => {
  const { rig, client } = live()
  rig.receive({ kind: 'cancel', clientId: client })
  rig.sent.length = 0
  rig.tokens('r1', { tokenIds: [65], epoch: { recovery: 1, hop: 0 } })
  assert.deepEqual(rig.sent, [{ to: 'instance/a', payload: { kind: 'abort', requestId: 'r1', epoch: { recovery: 1, hop: 0 }, sequence: null } }])
})

test('a paused client gets nothing until it resumes, then everything, merged per choice', () => {
  const { rig, client } = live({ n: 2 })
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.receive({ kind: 'pause', clientId: client })
  const before = rig.eventsOf(client).length
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B') })
  rig.tokens('r1', { firstIndex: 2, tokenIds: codes('C'), finish: finishOf('length') })
  rig.tokens('r1', { sequence: 1, tokenIds: codes('xy') })
  assert.equal(rig.eventsOf(client).length, before)
  rig.receive({ kind: 'resume', clientId: client })
  const resumed = [...rig.deltas(client, 0).slice(1), ...rig.deltas(client, 1)]
  assert.deepEqual(resumed.map(({ index, text, tokenIds, finish }) => [index, text, tokenIds, finish]), [
    [0, 'BC', codes('BC'), 'length'], [1, 'xy', codes('xy'), null],
  ])
  rig.tokens('r1', { sequence: 1, firstIndex: 2, tokenIds: codes('z'), finish: finishOf('length') })
  assert.deepEqual([rig.text(client, 0), rig.text(client, 1), rig.kinds(client).at(-1)], ['ABC', 'xyz', 'finished'])
})

test('a request may end while its client is paused: its slot is free at once, its events wait', () => {
  const rig = new Rig({ maxConcurrentRequests: 1 })
  rig.load('a')
  const client = rig.submit()
  const next = rig.submit({ requestId: 'r2' })
  rig.receive({ kind: 'pause', clientId: client })
  rig.tokens('r1', { tokenIds: codes('AB'), finish: finishOf('length') })
  assert.deepEqual([rig.kinds(client), rig.kinds(next)], [['accepted'], ['accepted']])
  rig.receive({ kind: 'resume', clientId: client })
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta', 'finished'])
  rig.receive({ kind: 'cancel', clientId: next })
  rig.advance(100)
  rig.assertEmpty()
})

test('pausing before acceptance keeps the order', () => {
  const rig = new Rig()
  rig.load('a')
  rig.isTokenizingAtOnce = false
  const client = rig.submit({ remainingMs: 50 })
  rig.receive({ kind: 'pause', clientId: client })
  rig.complete(rig.tokenizing[0]!.id, 'tokenize', { kind: 'done', value: codes('hi') })
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.advance(60)
  assert.deepEqual(rig.kinds(client), [])
  rig.receive({ kind: 'resume', clientId: client })
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta', 'failed'])
  rig.advance(100)
  rig.assertEmpty()
})

test('a client that stays paused is given up and told so', () => {
  const { rig, client } = live()
  rig.receive({ kind: 'pause', clientId: client })
  for (let index = 0; index < 30; index += 1) {
    rig.tokens('r1', { firstIndex: index, tokenIds: [65] })
    rig.advance(10_000)
  }
  assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).reason], ['cancelled', 'slow_client'])
  assert.equal(rig.sentOf('abort').length, 1)
  rig.assertEmpty()
})
