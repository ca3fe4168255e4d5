import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RefusedMessage } from '@rubato/instance'
import { codes, finishOf, Rig } from '../fixtures/router-rig.ts'
import type { RequestOverrides } from '../fixtures/router-rig.ts'

function fleet(...instanceIds: string[]): Rig {
  const rig = new Rig()
  for (const instanceId of instanceIds) rig.load(instanceId)
  return rig
}

function refuse(rig: Rig, requestId: string, reason: RefusedMessage['reason'], retryAfterMs: number | null = null): void {
  const last = rig.generates(requestId).at(-1)!
  rig.report({ kind: 'refused', instanceId: last.to.replace('instance/', ''), requestId, epoch: last.payload.epoch, reason, message: `because ${reason}`, retryAfterMs, heldEpoch: null })
}

function gone(rig: Rig, instanceId: string, incarnation = 1): void {
  rig.report({ kind: 'gone', instanceId, incarnation, reason: 'crash' })
}

const placesOf = (rig: Rig, requestId: string): string[] => rig.generates(requestId).map(({ to }) => to.replace('instance/', ''))

test('a burst between two reports is spread by what was sent since', () => {
  const rig = fleet('a', 'b', 'c')
  for (let index = 0; index < 9; index += 1) rig.submit({ requestId: `r${index}` })
  const counts = new Map<string, number>()
  for (const { to, payload } of rig.sent) if (payload.kind === 'generate') counts.set(to, (counts.get(to) ?? 0) + 1)
  assert.deepEqual([...counts.values()], [3, 3, 3])
})

test('the least loaded instance is chosen: other models, draining ones and long queues are passed over', () => {
  const rig = new Rig()
  rig.load('other', { modelFingerprint: 'f9', numRunning: 0 })
  rig.load('draining', { draining: true, numRunning: 0 })
  rig.load('busy', { pendingPrefillTokens: 5000 })
  rig.load('free')
  rig.submit()
  assert.deepEqual(placesOf(rig, 'r1'), ['free'])
})

test('a draining instance finishes what it has; the refusal of one is believed before its report', () => {
  const rig = fleet('a', 'b')
  const client = rig.submit()
  const [first] = placesOf(rig, 'r1')
  refuse(rig, 'r1', 'draining')
  const [, second] = placesOf(rig, 'r1')
  assert.notEqual(first, second)
  rig.submit({ requestId: 'r2' })
  assert.deepEqual(placesOf(rig, 'r2'), [second])
  rig.load(second!, { draining: true })
  rig.tokens('r1', { tokenIds: codes('A'), finish: finishOf('length') })
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta', 'finished'])
  assert.deepEqual(rig.generates('r1').map(({ payload }) => payload.recovered), [false, false])
})

test('an instance without capacity is not asked again before its hint; the request waits and loses nothing', () => {
  const rig = fleet('a')
  const client = rig.submit()
  refuse(rig, 'r1', 'no_capacity', 700)
  rig.load('a')
  rig.advance(699)
  assert.equal(rig.generates('r1').length, 1)
  rig.advance(2)
  assert.equal(rig.generates('r1').length, 2)
  rig.tokens('r1', { tokenIds: codes('A'), finish: finishOf('length') })
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta', 'finished'])
})

test('a request that every instance keeps refusing is given up in the end', () => {
  const rig = fleet('a')
  const client = rig.submit()
  for (let index = 0; index < 130 && rig.kinds(client).at(-1) !== 'failed'; index += 1) {
    rig.load('a')
    if (rig.sentOf('generate').length > 0) refuse(rig, 'r1', 'no_capacity', 900)
    rig.advance(1000)
  }
  assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).reason], ['unavailable', 'no_capacity'])
  rig.assertEmpty()
})

test('too long for the instance is the client\'s fault', () => {
  const rig = fleet('a')
  const client = rig.submit()
  refuse(rig, 'r1', 'too_long')
  assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).field, rig.errorOf(client).message], ['invalid_argument', 'prompt', 'because too_long'])
  rig.assertEmpty()
})

test('a refusal of an earlier dispatch is a no-op', () => {
  const rig = fleet('a', 'b')
  rig.submit()
  const stale = rig.generates('r1')[0]!
  refuse(rig, 'r1', 'no_capacity')
  rig.report({ kind: 'refused', instanceId: stale.to.replace('instance/', ''), requestId: 'r1', epoch: stale.payload.epoch, reason: 'too_long', message: '', retryAfterMs: null, heldEpoch: null })
  assert.equal(rig.generates('r1').length, 2)
  assert.deepEqual(rig.kinds(1), ['accepted'])
})

test('a dispatch that cannot be sent goes to another instance', () => {
  const rig = fleet('a', 'b')
  rig.sendOutcome = { kind: 'rejected', reason: 'limit' }
  rig.submit()
  assert.deepEqual(new Set(placesOf(rig, 'r1')), new Set(['a', 'b']))
  rig.sendOutcome = { kind: 'done', value: undefined }
  rig.advance(600)
  assert.equal(rig.generates('r1').length, 3)
})

const LOSSES: readonly (readonly [string, (rig: Rig) => void])[] = [
  ['said to be gone', (rig) => gone(rig, 'a')],
  ['that reports a new incarnation', (rig) => rig.load('a', { incarnation: 2, draining: true })],
  ['whose new incarnation sends tokens', (rig) => rig.report({ kind: 'tokens', instanceId: 'a', incarnation: 2, runs: [] })],
]
for (const [what, lose] of LOSSES) {
  test(`requests of an instance ${what} go on elsewhere, with what was emitted and a higher epoch`, () => {
    const rig = fleet('a')
    const client = rig.submit({ n: 2 })
    rig.load('b')
    rig.tokens('r1', { tokenIds: codes('AB') })
    rig.tokens('r1', { sequence: 1, tokenIds: codes('x'), finish: finishOf('length') })
    lose(rig)
    const [first, second] = rig.generates('r1')
    assert.equal(second!.to, 'instance/b')
    assert.ok(second!.payload.epoch.recovery > first!.payload.epoch.recovery)
    assert.deepEqual([second!.payload.emittedIds, second!.payload.finishedSequences, second!.payload.recovered], [[codes('AB'), codes('x')], [1], true])
    rig.tokens('r1', { epoch: first!.payload.epoch, firstIndex: 2, tokenIds: codes('old') }, { instanceId: 'a' })
    rig.tokens('r1', { firstIndex: 2, tokenIds: codes('C'), finish: finishOf('length') })
    assert.deepEqual([rig.text(client, 0), rig.text(client, 1)], ['ABC', 'x'])
    const last = rig.eventsOf(client).at(-1)!
    assert.ok(last.kind === 'finished' && last.timing.recoveries === 1 && last.usage.completionTokens === 4)
  })
}

test('the log of a dispatch does not grow with the stream', () => {
  const rig = fleet('a')
  rig.submit()
  rig.tokens('r1', { tokenIds: codes('A') })
  gone(rig, 'a')
  rig.load('b')
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B') })
  assert.deepEqual(rig.generates('r1')[1]!.payload.emittedIds, [codes('A')])
})

test('recovered requests bypass the line and go first', () => {
  const rig = new Rig({ maxConcurrentRequests: 2 })
  rig.load('a')
  for (const requestId of ['r1', 'r2', 'r3']) rig.submit({ requestId })
  rig.tokens('r2', { tokenIds: codes('A') })
  gone(rig, 'a')
  rig.load('a', { incarnation: 2 })
  assert.deepEqual(rig.sentOf('generate').map(({ requestId }) => requestId), ['r1', 'r2', 'r1', 'r2'])
  assert.deepEqual(rig.kinds(3), [])
})

test('a late report of a dead incarnation is not believed; a much later one is', () => {
  const rig = fleet('a')
  gone(rig, 'a')
  rig.load('a')
  assert.equal(rig.actor.canServe(), false)
  rig.advance(2000)
  rig.load('a')
  assert.equal(rig.actor.canServe(), true)
  gone(rig, 'a', 0)
  assert.equal(rig.actor.canServe(), true)
})

test('a hand-off raises the hop: the new owner is believed, the old one no more', () => {
  const rig = fleet('a')
  const client = rig.submit()
  rig.tokens('r1', { tokenIds: codes('A') })
  const { epoch } = rig.generates('r1')[0]!.payload
  const handedOver = { recovery: epoch.recovery, hop: 1 }
  rig.load('b')
  rig.tokens('r1', { epoch: handedOver, firstIndex: 1, tokenIds: codes('B') }, { instanceId: 'b' })
  rig.tokens('r1', { epoch, firstIndex: 2, tokenIds: codes('old') })
  gone(rig, 'a')
  assert.equal(rig.generates('r1').length, 1)
  rig.tokens('r1', { epoch: handedOver, firstIndex: 3, tokenIds: codes('D') }, { instanceId: 'b' })
  assert.deepEqual(rig.sent.filter(({ payload }) => payload.kind === 'resend').map(({ to, payload }) => [to, payload.kind === 'resend' && payload.epoch]), [['instance/b', handedOver]])
  rig.receive({ kind: 'cancel', clientId: client })
  assert.equal(rig.text(client), 'AB')
  const abort = rig.sent.at(-1)!
  assert.deepEqual([abort.to, abort.payload.kind === 'abort' && abort.payload.epoch], ['instance/b', handedOver])
})

test('an id used again is not confused with its past', () => {
  const rig = fleet('a')
  rig.receive({ kind: 'cancel', clientId: rig.submit() })
  const past = rig.generates('r1')[0]!.payload.epoch
  const client = rig.submit()
  rig.tokens('r1', { epoch: past, tokenIds: codes('old') })
  rig.tokens('r1', { tokenIds: codes('new') })
  assert.equal(rig.text(client), 'new')
})

test('an instance that has not reported for longer than it should gets nothing new while another speaks', () => {
  const rig = fleet('a', 'b')
  rig.advance(1400)
  rig.load('b', { numRunning: 50 })
  rig.advance(200)
  rig.submit()
  assert.deepEqual(placesOf(rig, 'r1'), ['b'])
})

function stalledOn(request: RequestOverrides = {}): { rig: Rig; client: number } {
  const rig = fleet('a')
  const client = rig.submit(request)
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.load('b')
  return { rig, client }
}

test('without a token for a while the router asks again, which fills a loss at the end of the stream', () => {
  const { rig, client } = stalledOn()
  rig.advance(4000)
  rig.load('a')
  rig.load('b')
  rig.advance(1000)
  assert.deepEqual(rig.sentOf('resend').map(({ fromIndex }) => fromIndex), [1])
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B'), finish: finishOf('length') })
  assert.equal(rig.text(client), 'AB')
})

test('an instance that reports it has nothing to do has lost the request: it goes on elsewhere', () => {
  const { rig } = stalledOn()
  for (let second = 0; second < 11; second += 1) {
    for (const instanceId of ['a', 'b']) rig.load(instanceId, { numRunning: 0 })
    rig.advance(1000)
  }
  assert.equal(rig.generates('r1').length, 2)
  assert.deepEqual(rig.generates('r1')[1]!.payload.emittedIds, [codes('A')])
})

test('an instance that fell silent loses its requests while others speak, and keeps them while none does', () => {
  const speaking = stalledOn().rig
  for (let second = 0; second < 6; second += 1) {
    speaking.load('b')
    speaking.advance(1000)
  }
  assert.deepEqual(placesOf(speaking, 'r1'), ['a', 'b'])
  const cutOff = stalledOn().rig
  cutOff.advance(60_000)
  assert.deepEqual(placesOf(cutOff, 'r1'), ['a'])
})

test('a busy instance that never gets to the request is left in the end, and that is bounded too', () => {
  const rig = fleet('a')
  const client = rig.submit()
  for (let second = 0; second < 600 && rig.kinds(client).at(-1) === 'accepted'; second += 1) {
    rig.load('a', { numRunning: 5 })
    rig.advance(1000)
  }
  assert.deepEqual([rig.errorOf(client).reason, rig.generates('r1').length], ['no_progress', 4])
  rig.assertEmpty()
})
