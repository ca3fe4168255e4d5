import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AskedSequence, DraftAsk, DraftPeer } from '@rubato/model'
import { INTRODUCTION, SpeculatorRig, more, whole } from './fixtures/speculator-rig.ts'

function rigOf(...sessions: readonly string[]): SpeculatorRig {
  const rig = new SpeculatorRig()
  for (const session of sessions) rig.hello(session)
  return rig
}

const treesOf = (rig: SpeculatorRig, to: string): (readonly [number, number])[] => rig.answers(to).flatMap(({ trees }) => trees.map(({ handle, numTokens }) => [handle, numTokens] as const))

test('a sequence is told once, then only what is new; its tree hangs on the token it was asked for', () => {
  const rig = rigOf('a')
  rig.ask('a', 1, [whole(1, 10), whole(2, 5)])
  rig.run()
  const [answer] = rig.answers('a')
  assert.deepEqual([answer?.askId, answer?.trees.map(({ handle, numTokens }) => [handle, numTokens]), answer?.unknown], [1, [[1, 10], [2, 5]], []])
  rig.ask('a', 2, [more(1, 10, 13), more(2, 4, 6)])
  assert.deepEqual(rig.command?.append.map(({ tokenIds }) => tokenIds.length), [3, 1])
  rig.run()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 13], [2, 6]])
})

test('asks of several instances that arrive during a run make one batch, each with its own shape', () => {
  const rig = rigOf('a', 'b', 'c')
  rig.ask('a', 1, [whole(1, 3)])
  rig.ask('b', 1, [whole(1, 4)], { depth: 2, width: 1 })
  rig.ask('c', 1, [whole(1, 5)], { depth: 6, width: 3 })
  rig.run()
  assert.deepEqual(rig.command?.draft.map(({ depth, width }) => [depth, width]), [[2, 1], [6, 3]])
  rig.run()
  for (const [session, tokens] of [['a', 3], ['b', 4], ['c', 5]] as const) assert.deepEqual(treesOf(rig, session), [[1, tokens]])
  assert.equal(rig.commands.length, 2)
})

test('an instance with many sequences delays one with a single one by a batch at most', () => {
  const rig = rigOf('many', 'single')
  const numMany = 300
  rig.ask('many', 1, Array.from({ length: numMany }, (_, handle) => whole(handle, 3)))
  rig.ask('single', 1, [whole(1, 3)])
  rig.run()
  rig.run()
  assert.deepEqual(treesOf(rig, 'single'), [[1, 3]])
  assert.deepEqual(rig.answers('many'), [], 'its answer comes when all of it was drafted')
  rig.runAll()
  assert.equal(treesOf(rig, 'many').length, numMany)
})

test('instances that always have drafts waiting get equal rows, whatever shapes they ask for', () => {
  const rig = rigOf('deep', 'flat')
  const shapes = { deep: { depth: 16, width: 4 }, flat: { depth: 4, width: 1 } } as const
  const sequences = (askId: number): AskedSequence[] => Array.from({ length: 60 }, (_, handle) => (askId === 1 ? whole(handle, 3) : more(handle, 3, 3)))
  const rows = { deep: 0, flat: 0 }
  for (let askId = 1; askId <= 40; askId++) {
    for (const name of ['deep', 'flat'] as const) rig.ask(name, askId, sequences(askId), shapes[name])
    for (const { depth, width, maxDepth } of rig.run().draft) rows[depth === 4 ? 'flat' : 'deep'] += 1 + (Math.min(depth, maxDepth) - 1) * width
  }
  assert.ok(Math.abs(rows.deep / rows.flat - 1) < 0.2, `${rows.deep} rows and ${rows.flat}`)
})

test('a newer ask for a sequence takes the place of the older one, and the older one is dropped when nothing of it is left', () => {
  const rig = rigOf('a')
  rig.ask('a', 1, [whole(9, 3)])
  rig.ask('a', 2, [whole(1, 3), whole(2, 3)])
  rig.ask('a', 3, [more(1, 3, 5)])
  rig.ask('a', 4, [more(1, 5, 6), more(2, 3, 4)])
  rig.runAll()
  assert.deepEqual(rig.answers('a').map(({ askId, trees }) => [askId, trees.map(({ handle, numTokens }) => `${handle}:${numTokens}`)]), [[1, ['9:3']], [4, ['1:6', '2:4']]])
  assert.deepEqual(rig.actor.snapshot().asksTotal, { answered: 2, superseded: 2, expired: 0, busy: 0 })
})

test('what arrives while a sequence is drafted for does not move its tree', () => {
  const rig = rigOf('a')
  rig.ask('a', 1, [whole(1, 3)])
  rig.ask('a', 2, [more(1, 3, 8)])
  rig.run()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 3]])
  rig.run()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 8]])
})

test('asks whose time is over are not drafted for, and their tokens are not lost', () => {
  const rig = rigOf('a', 'b')
  rig.ask('b', 1, [whole(1, 3)])
  rig.ask('a', 1, [whole(1, 3)], { remainingMs: 5 })
  rig.nowMs = 5
  rig.runAll()
  assert.deepEqual(rig.answers('a'), [])
  assert.equal(rig.actor.snapshot().asksTotal.expired, 1)
  rig.ask('a', 2, [more(1, 3, 4)])
  rig.runAll()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 4]])
})

test('what is not known, or not this far, is said, and told again from the first token on', () => {
  const rig = rigOf('a')
  rig.ask('a', 1, [more(1, 3, 4), whole(2, 3)])
  rig.runAll()
  assert.deepEqual(rig.answers('a').map(({ unknown, trees }) => [unknown, trees.length]), [[[1], 1]])
  rig.ask('a', 2, [more(2, 5, 6)])
  assert.deepEqual(rig.answers('a').map(({ unknown }) => unknown), [[2]])
  rig.ask('a', 3, [whole(1, 4), whole(2, 6)])
  rig.runAll()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 4], [2, 6]])
})

test('forgotten sequences and ended sessions leave nothing behind, here or in the draft model', () => {
  const rig = rigOf('a', 'b')
  rig.ask('a', 1, [whole(1, 3), whole(2, 3)])
  rig.ask('b', 1, [whole(1, 3)])
  rig.ask('a', 2, [whole(3, 3)])
  rig.news('a', { forget: [1, 3, 77] })
  rig.run()
  assert.deepEqual(treesOf(rig, 'a'), [[2, 3]], 'what was forgotten while it was drafted for is not answered')
  rig.runAll()
  assert.deepEqual([rig.known.size, rig.actor.snapshot().numSequences], [2, 2])
  rig.tell('a', { kind: 'draft-bye' })
  rig.tell('b', { kind: 'draft-bye' })
  rig.runAll()
  const { numSessions, numSequences, numQueued } = rig.actor.snapshot()
  assert.deepEqual([numSessions, numSequences, numQueued, rig.known.size], [0, 0, 0, 0])
})

test('past its limit the sequence used least recently is forgotten, whoever has it', () => {
  const rig = new SpeculatorRig({ maxSequences: 3 })
  for (const session of ['a', 'b']) rig.hello(session)
  rig.ask('a', 1, [whole(1, 3), whole(2, 3)])
  rig.ask('b', 1, [whole(1, 3)])
  rig.ask('a', 2, [more(1, 3, 4)])
  rig.runAll()
  rig.ask('b', 2, [whole(2, 3)])
  rig.ask('a', 3, [more(1, 4, 5), more(2, 3, 4)])
  rig.runAll()
  assert.deepEqual(rig.answers('a').at(-1)?.unknown, [2])
  assert.equal(rig.known.size, 3)
})

test('what is far behind is prepared in slices, beside the drafts of others and never much before them', () => {
  const rig = rigOf('a', 'b')
  rig.readyTokens = 10
  rig.news('a', { sequences: [whole(1, 200), whole(2, 100)] })
  rig.ask('b', 1, [whole(1, 5)])
  rig.run()
  rig.run()
  assert.deepEqual(treesOf(rig, 'b'), [[1, 5]], 'behind one slice, not behind both prompts')
  rig.ask('a', 1, [more(1, 200, 201)])
  rig.run()
  rig.run()
  assert.deepEqual(treesOf(rig, 'a'), [], 'an ask for it is answered at once, without a tree')
  rig.runAll()
  rig.ask('a', 2, [more(1, 201, 202), more(2, 100, 100)])
  rig.runAll()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 202], [2, 100]])
  const slices = rig.commands.flatMap(({ prepare }) => prepare.map(({ key }) => key))
  assert.deepEqual(new Set(slices.slice(0, 4)).size, 2, 'sequences take turns')
})

test('preparations go on while drafts keep coming', () => {
  const rig = rigOf('a', 'b')
  rig.readyTokens = 10
  rig.ask('b', 1, [whole(1, 5)])
  rig.news('a', { sequences: [whole(1, 100)] })
  for (let askId = 2; askId < 40; askId++) {
    rig.ask('b', askId, [more(1, 5, 5)])
    rig.run()
  }
  rig.ask('a', 1, [more(1, 100, 101)])
  rig.runAll()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 101]])
})

test('a draft model that dies takes what it knew with it; everybody is told so', () => {
  const rig = rigOf('a', 'b')
  rig.ask('a', 1, [whole(1, 3)])
  rig.ask('b', 1, [whole(1, 3)])
  rig.fail()
  assert.deepEqual([rig.answers('a'), rig.answers('b')].map(([answer]) => answer?.unknown), [[1], [1]])
  rig.ask('a', 2, [more(1, 3, 4)])
  assert.deepEqual(rig.answers('a')[0]?.unknown, [1])
  rig.ask('a', 3, [whole(1, 4)])
  rig.runAll()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 4]])
})

test('another vocabulary is refused at hello, and strangers, late-comers and one too many are', () => {
  const rig = new SpeculatorRig({ maxSessions: 1 })
  for (const peer of [{ vocabulary: 'w' }, { vocabSize: 99 }] satisfies Partial<DraftPeer>[]) rig.hello('a', peer)
  assert.deepEqual(rig.refusals('a'), ['session other_vocabulary', 'session other_vocabulary'])
  rig.ask('a', 1, [whole(1, 3)])
  assert.deepEqual(rig.refusals('a'), ['session stranger'])
  rig.hello('a')
  rig.hello('b')
  assert.deepEqual([rig.refusals('a'), rig.refusals('b')], [[], ['session busy']])
  rig.tell('self', { kind: 'drain' })
  rig.hello('b')
  assert.deepEqual([rig.refusals('a'), rig.refusals('b')], [['session draining'], ['session draining']])
})

test('more drafts than may wait are refused by ask, and the session goes on', () => {
  const rig = new SpeculatorRig({ maxQueued: 2 })
  rig.hello('a')
  rig.ask('a', 1, [whole(1, 3)])
  rig.ask('a', 2, [whole(2, 3), whole(3, 3), whole(4, 3)])
  assert.deepEqual(rig.refusals('a'), ['2 busy'])
  rig.ask('a', 3, [more(1, 3, 4)])
  rig.runAll()
  assert.deepEqual(treesOf(rig, 'a'), [[1, 3], [1, 4]])
})

test('a message that breaks a rule ends its session alone', () => {
  const wrongs: readonly [string, Partial<DraftAsk>, AskedSequence?][] = [
    ['depth', { depth: 0 }], ['width', { width: 0.5 }], ['time', { remainingMs: Number.NaN }], ['probability', { leastProbability: 2 }], ['curves', { calibration: { curves: [] } }], ['slope', { calibration: { curves: [{ bias: 0, slope: Number.NaN, weight: 0 }] } }],
    ['token', {}, { ...whole(1, 3), tokenIds: [100] }], ['nothing wanted', {}, { ...whole(1, 3), maxDepth: 0 }], ['place', {}, { ...whole(1, 3), firstToken: 1 }], ['prompt', {}, { ...whole(1, 3), introduction: { ...INTRODUCTION, promptTokens: 4 } }],
    ['sampling', {}, { ...whole(1, 3), introduction: { ...INTRODUCTION, sampling: { ...INTRODUCTION.sampling, temperature: -1 } } }], ['bias', {}, { ...whole(1, 3), introduction: { ...INTRODUCTION, sampling: { ...INTRODUCTION.sampling, logitBias: [[100, 1]] } } }],
  ]
  const rig = rigOf('good')
  for (const [name, fields, sequence = whole(1, 3)] of wrongs) {
    rig.hello('bad')
    rig.ask('bad', 1, [sequence], fields)
    assert.deepEqual(rig.refusals('bad'), ['session malformed'], name)
  }
  rig.hello('bad', { eosTokenIds: [100] })
  assert.deepEqual(rig.refusals('bad'), ['session malformed'])
  assert.equal(rig.command, null)
  rig.ask('good', 1, [whole(1, 3)])
  rig.runAll()
  assert.deepEqual(treesOf(rig, 'good'), [[1, 3]])
})
