// Which request is blamed for the deaths of its instances.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GoneMessage, LoadMessage } from '@rubato/instance'
import { idleLoad } from '@rubato/testing'
import { codes, finishOf, Rig } from '../fixtures/router-rig.ts'

function instance(): Rig {
  const rig = new Rig()
  rig.load('a')
  return rig
}

/** Instance a dies and comes back: as a process, or as an engine whose actor says what the last step had begun. */
function die(rig: Rig, incarnation: number, { begunIds, ...load }: Pick<GoneMessage, 'begunIds'> & Partial<LoadMessage> = {}): void {
  rig.report({ kind: 'gone', instanceId: 'a', incarnation, reason: 'crash', ...(begunIds === undefined ? {} : { begunIds }) })
  rig.load('a', { incarnation: incarnation + 1, ...load })
}

const guardsOf = (rig: Rig, requestId: string): boolean[] => rig.generates(requestId).map(({ payload }) => payload.guarded === true)
const isOver = (rig: Rig, client: number): boolean => ['finished', 'failed'].includes(rig.kinds(client).at(-1)!)

/** A request that was on instance a at its first two deaths, and is held by its third incarnation. */
function suspect(requestId = 'r1'): { rig: Rig; client: number } {
  const rig = instance()
  const client = rig.submit({ requestId })
  for (const incarnation of [1, 2]) die(rig, incarnation)
  assert.deepEqual(guardsOf(rig, requestId), [false, false, true])
  return { rig, client }
}

test('a request that kills whatever begins it costs three instances, the last of which was told to begin it', () => {
  const { rig, client } = suspect()
  assert.deepEqual(rig.kinds(client), ['accepted'])
  assert.ok(rig.mayBegin('r1', 3))
  die(rig, 3)
  assert.deepEqual([rig.errorOf(client).code, rig.errorOf(client).reason], ['internal', 'request_quarantined'])
  assert.equal(rig.generates('r1').length, 3)
  rig.assertEmpty()
})

test('a lost lease and a new incarnation convict as last words do', () => {
  for (const lose of [(rig: Rig) => rig.receive({ kind: 'member-lost', address: 'instance/a' }), (rig: Rig) => rig.load('a', { incarnation: 4 })]) {
    const { rig, client } = suspect()
    rig.mayBegin('r1', 3)
    lose(rig)
    assert.equal(rig.errorOf(client).reason, 'request_quarantined')
    rig.assertEmpty()
  }
})

test('one poison request among many is convicted alone, and by its third instance', () => {
  const rig = instance()
  const names = ['r1', 'r2', 'poison', 'r4', 'r5']
  const clients = new Map(names.map((requestId) => [requestId, rig.submit({ requestId })]))
  let incarnation = 1
  for (let round = 0; round < 40 && rig.actor.snapshot().numLive > 0; round += 1) {
    const open = names.filter((requestId) => !isOver(rig, clients.get(requestId)!))
    const isHeld = (requestId: string): boolean => rig.generates(requestId).at(-1)!.payload.guarded === true
    const [held] = open.filter(isHeld)
    const begun = held === undefined ? open : [held, ...open.filter((requestId) => !isHeld(requestId))]
    if (held !== undefined) assert.ok(rig.mayBegin(held, incarnation))
    if (begun.includes('poison')) die(rig, incarnation++)
    else for (const requestId of begun) rig.tokens(requestId, { tokenIds: [65], finish: finishOf('length') }, { incarnation })
  }
  assert.deepEqual(names.map((requestId) => rig.kinds(clients.get(requestId)!).at(-1)), ['finished', 'finished', 'failed', 'finished', 'finished'])
  assert.equal(rig.errorOf(clients.get('poison')!).reason, 'request_quarantined')
  assert.equal(incarnation, 4)
  rig.advance(100)
  rig.assertEmpty()
})

test('a suspect that its instance still holds is not to blame for its death; nine deaths are too many for anybody', () => {
  const { rig, client } = suspect()
  for (let incarnation = 3; incarnation <= 9; incarnation += 1) {
    assert.deepEqual(rig.kinds(client), ['accepted'])
    die(rig, incarnation)
  }
  assert.deepEqual([rig.generates('r1').length, rig.errorOf(client).reason], [9, 'request_quarantined'])
  rig.assertEmpty()
})

test('the first token of a suspect is acknowledged at once: the next one waits for that', () => {
  const { rig } = suspect()
  rig.mayBegin('r1', 3)
  rig.tokens('r1', { tokenIds: codes('A') }, { incarnation: 3 })
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B') }, { incarnation: 3 })
  assert.deepEqual(rig.sentOf('ack').map(({ acks }) => acks.map(({ nextIndex }) => nextIndex)), [[1]])
})

test('an instance that asks for another suspect is through with the one before', () => {
  const rig = instance()
  const [first, second] = ['first', 'second'].map((requestId) => rig.submit({ requestId }))
  for (const incarnation of [1, 2]) die(rig, incarnation)
  assert.ok(rig.mayBegin('first', 3))
  assert.ok(rig.mayBegin('second', 3))
  die(rig, 3)
  assert.deepEqual([rig.kinds(first!), rig.errorOf(second!).reason], [['accepted'], 'request_quarantined'])
})

test('a token clears a suspect, and what it needs next is begun like anything else', () => {
  const { rig, client } = suspect()
  rig.mayBegin('r1', 3)
  rig.tokens('r1', { tokenIds: codes('A') }, { incarnation: 3 })
  for (const incarnation of [3, 4]) die(rig, incarnation)
  assert.deepEqual(guardsOf(rig, 'r1').slice(3), [false, false])
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B'), finish: finishOf('length') }, { incarnation: 5 })
  assert.equal(rig.text(client), 'AB')
  rig.advance(100)
  rig.assertEmpty()
})

test('a crash after a token does not count, however often', () => {
  const rig = instance()
  const client = rig.submit()
  for (let incarnation = 1; incarnation <= 8; incarnation += 1) {
    rig.tokens('r1', { firstIndex: incarnation - 1, tokenIds: [65] }, { incarnation })
    die(rig, incarnation)
  }
  rig.tokens('r1', { firstIndex: 8, tokenIds: [65], finish: finishOf('length') }, { incarnation: 9 })
  assert.equal(rig.text(client), 'AAAAAAAAA')
})

test('last words convict whom the step had begun, however late, and nobody else', () => {
  const rig = instance()
  const poison = rig.submit({ requestId: 'poison' })
  const waiting = rig.submit({ requestId: 'waiting' })
  for (let incarnation = 1; incarnation <= 3; incarnation += 1) {
    rig.advance(400)
    rig.load('a', { incarnation })
    if (incarnation === 3) rig.mayBegin('poison', 3)
    rig.advance(400)
    rig.load('a', { incarnation })
    die(rig, incarnation, { begunIds: ['poison'] })
  }
  assert.equal(rig.errorOf(poison).reason, 'request_quarantined')
  for (let incarnation = 4; incarnation <= 6; incarnation += 1) die(rig, incarnation, { begunIds: [] })
  assert.deepEqual([rig.kinds(waiting), guardsOf(rig, 'waiting').includes(true)], [['accepted'], false])
})

test('last words acquit a suspect that was told to begin and had not', () => {
  const { rig, client } = suspect()
  rig.mayBegin('r1', 3)
  die(rig, 3, { begunIds: ['other'] })
  assert.deepEqual([rig.kinds(client), guardsOf(rig, 'r1').at(-1)], [['accepted'], true])
})

test('an instance that was left for being silent is no death', () => {
  const { rig } = suspect()
  rig.mayBegin('r1', 3)
  rig.load('b')
  for (let second = 0; second < 6; second += 1) {
    rig.load('b')
    rig.advance(1000)
  }
  assert.deepEqual([rig.generates('r1').at(-1)!.to, guardsOf(rig, 'r1').at(-1)], ['instance/b', true])
  rig.receive({ kind: 'member-lost', address: 'instance/a' })
  assert.equal(rig.generates('r1').length, 4)
})

test('a question that comes again is answered again, and one about what is over or elsewhere frees it there', () => {
  const { rig, client } = suspect()
  assert.deepEqual([rig.mayBegin('r1', 3), rig.mayBegin('r1', 3)], [true, true])
  const past = rig.generates('r1').at(-1)!.payload.epoch
  rig.receive({ kind: 'cancel', clientId: client })
  rig.assertEmpty()
  const numAborts = rig.sentOf('abort').length
  assert.equal(rig.mayBegin('r1', 3), false)
  rig.submit()
  rig.report({ kind: 'may-begin', instanceId: 'a', incarnation: 3, requestId: 'r1', epoch: past })
  assert.deepEqual(rig.sentOf('abort').slice(numAborts).map(({ epoch }) => epoch), [past, past])
  assert.equal(rig.sentOf('begin').length, 2)
})

test('an instance of a former minor begins at once: one suspect at a time is sent there, and its death convicts', () => {
  const rig = instance()
  const [first, second] = ['first', 'second'].map((requestId) => rig.submit({ requestId }))
  die(rig, 1)
  rig.report({ kind: 'gone', instanceId: 'a', incarnation: 2, reason: 'crash' })
  const { guards: _, ...former } = idleLoad('a', { incarnation: 3 })
  rig.report(former)
  assert.deepEqual([rig.generates('first').length, rig.generates('second').length], [3, 2])
  rig.tokens('first', { tokenIds: codes('A') }, { incarnation: 3 })
  assert.deepEqual(guardsOf(rig, 'second'), [false, false, true])
  rig.report({ kind: 'gone', instanceId: 'a', incarnation: 3, reason: 'crash' })
  assert.deepEqual([rig.kinds(first!).at(-1), rig.errorOf(second!).reason], ['delta', 'request_quarantined'])
})

test('with a limit of one, whatever was beside a death and had no token is given up', () => {
  const rig = new Rig({ migrationLimit: 1 })
  rig.load('a')
  const client = rig.submit()
  die(rig, 1)
  assert.deepEqual([rig.errorOf(client).reason, guardsOf(rig, 'r1')], ['request_quarantined', [false]])
  rig.assertEmpty()
})
