import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Epoch } from '@rubato/instance'
import { idleLoad } from '@rubato/testing'
import { codes, finishOf, Rig } from '../fixtures/router-rig.ts'

function refuseSuperseded(rig: Rig, heldEpoch: Epoch | null): void {
  const last = rig.generates('r1').at(-1)!
  rig.report({ kind: 'refused', instanceId: 'a', requestId: 'r1', epoch: last.payload.epoch, reason: 'superseded', message: '', retryAfterMs: null, heldEpoch })
}

function contested(heldEpoch: Epoch = { recovery: 70, hop: 2 }): { rig: Rig; client: number } {
  const rig = new Rig()
  rig.load('a')
  const client = rig.submit()
  refuseSuperseded(rig, heldEpoch)
  return { rig, client }
}

/** Instance a answers that it holds r1 for a router. */
function held(rig: Rig, router: string): void {
  const request = { ...rig.generates('r1')[0]!.payload, emittedIds: [codes('AB')] }
  rig.report({ kind: 'located', instanceId: 'a', incarnation: 1, request, epoch: { recovery: 70, hop: 2 }, router })
}

test('an instance that joins is greeted', () => {
  const rig = new Rig()
  rig.receive({ kind: 'member-joined', address: 'instance/a@1' })
  assert.deepEqual(rig.greeted, ['instance/a@1'])
})

test('an instance is believed once membership tells of it: nobody would tell that another one is gone', () => {
  const rig = new Rig()
  const address = 'instance/a'
  rig.receive(idleLoad('a'), address)
  assert.deepEqual([rig.actor.instances(), rig.actor.canServe()], [[], false])
  rig.receive({ kind: 'member-joined', address })
  assert.deepEqual(rig.greeted, [address], 'so that it reports again')
  rig.receive(idleLoad('a'), address)
  assert.equal(rig.actor.canServe(), true)
})

test('a lost lease takes every incarnation at its address at once, and nothing from there is believed again', () => {
  const rig = new Rig()
  rig.load('a', { incarnation: 3 })
  const client = rig.submit()
  rig.tokens('r1', { tokenIds: codes('A') }, { incarnation: 3 })
  rig.receive({ kind: 'member-lost', address: 'instance/a' })
  assert.equal(rig.actor.canServe(), false)
  rig.advance(10_000)
  rig.load('a', { incarnation: 9 })
  assert.equal(rig.actor.canServe(), false)
  rig.load('b')
  rig.tokens('r1', { epoch: { recovery: 1, hop: 1 }, firstIndex: 1, tokenIds: codes('old') }, { instanceId: 'a', incarnation: 9 })
  assert.deepEqual(rig.generates('r1').map(({ to, payload }) => [to, payload.emittedIds]), [['instance/a', [[]]], ['instance/b', [codes('A')]]])
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B'), finish: finishOf('length') })
  assert.equal(rig.text(client), 'AB')
})

test('losing another router, or a stranger, changes nothing here', () => {
  const rig = new Rig()
  rig.load('a')
  const client = rig.submit()
  for (const address of ['router/r2@1', 'instance/z@1']) rig.receive({ kind: 'member-lost', address })
  rig.tokens('r1', { tokenIds: codes('A'), finish: finishOf('length') })
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta', 'finished'])
})

test('an id that a router left behind is freed where it is held, and dispatched above its epoch', () => {
  const { rig, client } = contested()
  assert.deepEqual(rig.sent.at(-1), { to: 'instance/a', payload: { kind: 'locate', requestId: 'r1' } })
  rig.receive({ kind: 'member-lost', address: 'router/r9@1' })
  held(rig, 'router/r9@1')
  const [abort, generate] = rig.sent.slice(-2).map(({ payload }) => payload)
  assert.ok(abort?.kind === 'abort' && abort.epoch.recovery > 70 && generate?.kind === 'generate' && generate.epoch.recovery > abort.epoch.recovery)
  rig.tokens('r1', { tokenIds: codes('A'), finish: finishOf('length') })
  assert.deepEqual(rig.kinds(client), ['accepted', 'delta', 'finished'])
  rig.advance(100)
  rig.assertEmpty()
})

test('an id that a live router holds is taken', () => {
  const { rig, client } = contested()
  held(rig, 'router/r2@1')
  assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).field], ['already_exists', 'request_id'])
  assert.equal(rig.sentOf('abort').length, 0)
  rig.assertEmpty()
})

test('a holder that does not answer has forgotten: the request is dispatched again, above the epoch it named', () => {
  const { rig } = contested()
  rig.advance(499)
  assert.equal(rig.generates('r1').length, 1)
  rig.advance(2)
  assert.equal(rig.generates('r1').length, 2)
  assert.ok(rig.generates('r1')[1]!.payload.epoch.recovery > 70)
})

test('who refuses again and again in the name of another is believed in the end', () => {
  const { rig, client } = contested()
  for (let round = 0; round < 5 && rig.kinds(client).at(-1) !== 'failed'; round += 1) {
    rig.advance(501)
    refuseSuperseded(rig, { recovery: 1000 * (round + 1), hop: 0 })
  }
  assert.equal(rig.errorOf(client).code, 'already_exists')
  rig.assertEmpty()
})

test('an instance that knows nothing of what it refuses is tried again, and not for ever at once', () => {
  const rig = new Rig()
  rig.load('a')
  rig.submit()
  for (let round = 0; round < 4; round += 1) refuseSuperseded(rig, null)
  assert.equal(rig.generates('r1').length, 4)
  rig.advance(600)
  assert.equal(rig.generates('r1').length, 5)
})

test('a contested request can be cancelled, and its deadline holds', () => {
  const cancelled = contested()
  cancelled.rig.receive({ kind: 'cancel', clientId: cancelled.client })
  cancelled.rig.assertEmpty()
  held(cancelled.rig, 'router/r9@1')
  assert.equal(cancelled.rig.generates('r1').length, 1)
  const rig = new Rig()
  rig.load('a')
  const client = rig.submit({ remainingMs: 100 })
  refuseSuperseded(rig, { recovery: 70, hop: 0 })
  rig.advance(100)
  assert.equal(rig.errorOf(client).code, 'deadline_exceeded')
  rig.assertEmpty()
})

test('a stream that another router took over ends here, and is not computed twice', () => {
  const rig = new Rig()
  rig.load('a')
  const client = rig.submit()
  rig.tokens('r1', { tokenIds: codes('A') })
  refuseSuperseded(rig, { recovery: 90, hop: 0 })
  assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).reason], ['cancelled', 'superseded'])
  assert.equal(rig.generates('r1').length, 1)
  rig.assertEmpty()
})

test('an instance that says it never had the request is given it again at once, with the tokens that are known', () => {
  const rig = new Rig()
  rig.load('a')
  const client = rig.submit()
  refuseSuperseded(rig, null)
  assert.equal(rig.generates('r1').length, 2)
  rig.tokens('r1', { tokenIds: codes('A') })
  refuseSuperseded(rig, null)
  assert.deepEqual([rig.generates('r1').length, rig.generates('r1').at(-1)!.payload.emittedIds], [3, [codes('A')]])
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B'), finish: finishOf('length') })
  assert.deepEqual([rig.text(client), rig.kinds(client).at(-1)], ['AB', 'finished'])
})

test('a resumed stream that is taken over is taken back: its client came last', () => {
  const rig = new Rig()
  rig.load('a')
  rig.submit()
  rig.tokens('r1', { tokenIds: codes('A') })
  const client = rig.submit({ resumeFrom: [0] })
  refuseSuperseded(rig, rig.generates('r1')[0]!.payload.epoch)
  assert.equal(rig.sentOf('locate').length, 0)
  refuseSuperseded(rig, { recovery: 90, hop: 0 })
  held(rig, 'router/r2@1')
  const [attach] = rig.sentOf('attach')
  assert.deepEqual([attach!.epoch.recovery, attach!.fromIndices], [91, [1]])
  rig.tokens('r1', { epoch: attach!.epoch, firstIndex: 1, tokenIds: codes('B'), finish: finishOf('length') }, { instanceId: 'a' })
  assert.deepEqual([rig.text(client), rig.kinds(client).at(-1)], ['AB', 'finished'])
})

test('an instance that goes on under an epoch that was recovered elsewhere is told to stop', () => {
  const rig = new Rig()
  rig.load('a')
  rig.submit()
  const past = rig.generates('r1')[0]!.payload.epoch
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.load('a', { incarnation: 2 })
  rig.load('b')
  rig.tokens('r1', { epoch: past, firstIndex: 1, tokenIds: codes('B') }, { instanceId: 'b' })
  assert.deepEqual(rig.sent.at(-1), { to: 'instance/b', payload: { kind: 'abort', requestId: 'r1', epoch: past, sequence: null } })
})
