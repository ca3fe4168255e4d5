// An instance and speculators that answer, are late, err and vanish: what it asks, how long it waits, and that nothing of it changes a token.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { childContext } from '@rubato/actor'
import type { DraftEffect } from '@rubato/instance'
import type { AnsweredTree, DraftAnswer } from '@rubato/model'
import { speculationPolicy } from '@rubato/policy'
import { SMALL_SHAPE, expectedChoice, generateMessage, instanceFixture, loadOf } from '@rubato/testing'
import type { GenerateOptions, InstanceDriver, InstanceFixtureOptions } from '@rubato/testing'

const PEER = { address: 'speculator/s1', endpoint: 'host:1' }
/** A step takes 10 ms: with a few guesses right, waiting pays for well over 5. */
const STEP_MS = 10
const COSTS = { decode: { fixedMs: 10, perSequenceMs: 0.01, perNodeMs: 0.01, perContextTokenMs: 0 }, cell: { fixedMs: 10, perTokenMs: 0, perPairMs: 0 }, correctionRatio: 1 }
const LONG = { promptLen: 10, sampling: { maxTokens: 40 } }

/** What the target will draw for each handle, by request. */
type Truth = ReadonlyMap<number, readonly number[]>

class Rig {
  readonly driver: InstanceDriver
  readonly truth = new Map<number, readonly number[]>()
  readonly asks: DraftEffect[] = []

  constructor(options: InstanceFixtureOptions = {}) {
    this.driver = instanceFixture({
      speculation: speculationPolicy('static:4'), speculators: [PEER], costModel: COSTS, engine: { stepMs: () => STEP_MS }, ...options,
    })
  }

  generate(requestId: string, options: GenerateOptions = LONG): void {
    const message = generateMessage(requestId, options)
    this.driver.deliver(message)
    for (const [sequence, handle] of (this.driver.command?.admit ?? []).map(({ handle: each }, place) => [place, each] as const)) {
      this.truth.set(handle, [...message.promptIds, ...expectedChoice(message, sequence, SMALL_SHAPE)])
    }
  }

  /** The ask that is out; null: none is. */
  get ask(): DraftEffect | null {
    return [...this.driver.drafts.values()][0] ?? null
  }

  /** Right guesses for all that was asked, unless told. */
  answer(fields: Partial<DraftAnswer> | ((tree: AnsweredTree) => AnsweredTree) = {}): void {
    const { id, ask } = this.ask!
    const right = ask.sequences.flatMap((sequence) => treeFor(sequence, ask.depth, this.truth))
    const trees = typeof fields === 'function' ? right.map(fields) : right
    this.driver.completeDraft(id, { kind: 'done', value: { askId: ask.askId, trees, unknown: [], queueMs: 0, draftMs: 1, ...(typeof fields === 'function' ? {} : fields) } satisfies DraftAnswer })
  }

  fail(code = 'draft_link_failed'): void {
    this.driver.completeDraft(this.ask!.id, { kind: 'failed', error: { code, message: 'gone', retryable: true } })
  }

  step(): number {
    this.driver.advance(STEP_MS)
    return this.driver.completeStep(0).decodes.reduce((sum, { tree }) => sum + (tree?.tokenIds.length ?? 0), 0)
  }

  /** Steps until the speculator is trusted: it was told of the sequence and answered in time. */
  prove(): void {
    while (this.ask === null) this.step()
    this.answer()
    while (this.ask === null) this.step()
  }

  finish(): void {
    for (let count = 0; this.driver.command !== null || this.ask !== null; count++) {
      assert.ok(count < 1000, 'it never ends')
      if (this.driver.command === null) this.driver.advance(1)
      else this.step()
    }
  }

  expectRight(requestId: string, options: GenerateOptions = LONG): void {
    assert.deepEqual(this.driver.choice(requestId).tokenIds, expectedChoice(generateMessage(requestId, options), 0, SMALL_SHAPE))
  }

  get remote() {
    return loadOf(this.driver).speculation!.remote!
  }
}

function treeFor({ handle, firstToken, tokenIds }: DraftEffect['ask']['sequences'][number], depth: number, truth: Truth): AnsweredTree[] {
  const numTokens = firstToken + tokenIds.length
  const right = truth.get(handle)?.slice(numTokens, numTokens + depth) ?? []
  return right.length === 0 ? [] : [{ handle, numTokens, tokenIds: right, parents: right.map((_, node) => node - 1), ranks: right.map(() => 0), gaps: right.map(() => 3) }]
}

test('the first ask introduces and is not waited for; later ones tell what is new, and the step waits', () => {
  const rig = new Rig()
  rig.generate('r')
  while (rig.ask === null) rig.step()
  const first = rig.ask
  assert.equal(first.endpoint, PEER.endpoint)
  assert.deepEqual(first.ask.sequences.map(({ introduction, firstToken, tokenIds }) => [introduction?.promptTokens, firstToken, tokenIds.length]), [[10, 0, 11]])
  assert.notEqual(rig.driver.command, null, 'nothing waits for a speculator that never answered')
  rig.answer()
  assert.equal(rig.step(), 0)
  assert.deepEqual(rig.ask?.ask.sequences.map(({ introduction, firstToken, tokenIds }) => [introduction, firstToken, tokenIds.length]), [[null, 11, 1]])
  assert.equal(rig.driver.command, null, 'the next step waits')
  rig.answer()
  assert.equal(rig.step(), 4)
  assert.equal(rig.driver.choice('r').tokenIds.length, 1 + 1 + 5, 'all guesses were right')
  rig.finish()
  rig.expectRight('r')
})

test('a step waits no longer than its patience, and goes on plain; three such in a row and nothing waits any more', () => {
  const rig = new Rig()
  rig.generate('r')
  rig.prove()
  for (const late of [1, 2, 3]) {
    assert.equal(rig.driver.command, null)
    const startMs = rig.driver.nowMs
    while (rig.driver.command === null) rig.driver.advance(1)
    const waitedMs = rig.driver.nowMs - startMs
    assert.ok(waitedMs >= 2 && waitedMs <= 40, `waited ${waitedMs} ms`)
    assert.equal(rig.remote.lateTotal, late)
    // It answers when nobody waits any more.
    rig.answer()
    assert.equal(rig.step(), 0, 'a late tree is not verified')
  }
  assert.deepEqual([rig.ask, rig.remote.numTrusted], [null, 0])
  assert.notEqual(rig.driver.command, null)
  rig.finish()
  rig.expectRight('r')
})

test('one that never answers is given up at a deadline, and probed again after a pause', () => {
  const rig = new Rig()
  rig.generate('r', { promptLen: 10, sampling: { maxTokens: 150 } })
  rig.prove()
  while (rig.driver.command === null) rig.driver.advance(1)
  const frozen = rig.ask!
  let steps = 0
  for (; rig.driver.drafts.has(frozen.id); steps++) rig.step()
  assert.ok(steps > 1 && steps < 25, `${steps} steps`)
  const asks = (): number => rig.remote.asksTotal
  const before = asks()
  for (let step = 0; step < 60; step++) {
    if (rig.driver.command === null) rig.driver.advance(1)
    else rig.step()
  }
  assert.ok(asks() - before <= 4, `${asks() - before} asks in 60 steps`)
  // It returns.
  while (rig.ask === null) rig.step()
  rig.answer()
  while (rig.ask === null) rig.step()
  rig.answer()
  assert.equal(rig.step(), 4)
  rig.finish()
  rig.expectRight('r', { promptLen: 10, sampling: { maxTokens: 150 } })
})

test('garbage counts as a failure, reaches no step, and says what was wrong', () => {
  const rig = new Rig()
  rig.generate('r')
  rig.prove()
  const garbage: ((tree: AnsweredTree) => AnsweredTree)[] = [
    (tree) => ({ ...tree, tokenIds: tree.tokenIds.map(() => 5000) }), (tree) => ({ ...tree, parents: tree.parents.map(() => 7) }), (tree) => ({ ...tree, numTokens: tree.numTokens + 1 }),
  ]
  for (const [count, spoil] of garbage.entries()) {
    rig.answer(spoil)
    assert.equal(rig.remote.garbledTotal, count + 1)
    assert.equal(rig.step(), 0)
  }
  assert.match(rig.remote.lastProblem ?? '', /behind token/)
  assert.deepEqual([rig.ask, rig.remote.numTrusted], [null, 0])
  rig.finish()
  rig.expectRight('r')
})

test('wrong guesses cost nothing but themselves', () => {
  const rig = new Rig()
  rig.generate('r')
  rig.prove()
  for (let count = 0; count < 5; count++) {
    rig.answer((tree) => ({ ...tree, tokenIds: tree.tokenIds.map((tokenId, node) => (node === count ? (tokenId + 1) % 1000 : tokenId)) }))
    rig.step()
  }
  rig.finish()
  rig.expectRight('r')
})

test('a link that fails ends the wait at once, and everything is told again', () => {
  const rig = new Rig()
  rig.generate('r')
  rig.prove()
  rig.fail()
  assert.notEqual(rig.driver.command, null)
  rig.step()
  assert.equal(rig.ask?.ask.sequences[0]?.introduction?.promptTokens, 10)
  rig.answer({ trees: [], unknown: rig.ask!.ask.sequences.map(({ handle }) => handle) })
  rig.step()
  assert.notEqual(rig.ask?.ask.sequences[0]?.introduction, null, 'and again where it was not known')
  rig.finish()
  rig.expectRight('r')
})

test('who refuses for good is not asked again, whoever else there is is', () => {
  const rig = new Rig({ speculators: [PEER] })
  rig.generate('r')
  while (rig.ask === null) rig.step()
  rig.fail('draft_refused')
  for (let step = 0; step < 5; step++) rig.step()
  assert.equal(rig.ask, null)
  rig.driver.deliver({ kind: 'speculator-joined', address: 'speculator/s2', endpoint: 'host:2' })
  while (rig.ask === null) rig.step()
  assert.equal((rig.ask as DraftEffect).endpoint, 'host:2')
  rig.driver.deliver({ kind: 'member-gone', address: 'speculator/s2' })
  rig.fail()
  for (let step = 0; step < 5; step++) rig.step()
  assert.deepEqual([rig.ask, rig.remote.numSpeculators], [null, 1])
  rig.finish()
  rig.expectRight('r')
})

test('a speculator is told of all that is gone: ended, aborted, preempted', () => {
  const rig = new Rig({ shape: { numBlocks: 14 } })
  const introduced = new Set<number>()
  const live = (): number => {
    for (const { ask } of rig.driver.drafts.values()) for (const { handle } of ask.sequences) introduced.add(handle)
    for (const { news } of rig.driver.draftNews) {
      for (const { handle } of news.sequences) introduced.add(handle)
      for (const handle of news.forget) introduced.delete(handle)
    }
    rig.driver.draftNews.length = 0
    return introduced.size
  }
  for (const name of ['a', 'b', 'c']) rig.generate(name, { promptLen: 8, sampling: { maxTokens: 14 } })
  let most = 0
  for (let count = 0; rig.driver.command !== null || rig.ask !== null; count++) {
    most = Math.max(most, live())
    if (count === 4) rig.driver.deliver({ kind: 'abort', requestId: 'b', epoch: { recovery: 0, hop: 0 }, sequence: null })
    if (rig.ask !== null && count % 2 === 0) rig.answer({ trees: [] })
    else if (rig.driver.command === null) rig.driver.advance(1)
    else rig.step()
  }
  assert.equal(live(), 0)
  assert.ok(most >= 2)
  rig.expectRight('a', { promptLen: 8, sampling: { maxTokens: 14 } })
})

test('an aborted request is not waited for beyond patience, and its tree goes nowhere', () => {
  const rig = new Rig()
  rig.generate('r')
  rig.prove()
  rig.driver.deliver({ kind: 'abort', requestId: 'r', epoch: { recovery: 0, hop: 0 }, sequence: null })
  rig.answer()
  rig.finish()
  assert.equal(rig.driver.engine.numLive, 0)
})

test('prompts that are admitted while speculators are asked are told of before they end', () => {
  const rig = new Rig()
  rig.generate('r')
  rig.prove()
  rig.answer()
  rig.generate('s', { promptLen: 20, sampling: { maxTokens: 10 } })
  rig.step()
  rig.answer()
  const told = rig.driver.draftNews.flatMap(({ news }) => news.sequences)
  assert.deepEqual(told.map(({ introduction, tokenIds }) => [introduction?.promptTokens, tokenIds.length]), [[20, 20]])
  rig.finish()
  rig.expectRight('s', { promptLen: 20, sampling: { maxTokens: 10 } })
})

test('a traced request has one span of what was drafted for it', () => {
  const trace = childContext({ traceId: '1'.repeat(32), spanId: '2'.repeat(16) }, 'x', 0)
  const rig = new Rig()
  rig.generate('r', { ...LONG, trace })
  rig.prove()
  for (let count = 0; count < 3; count++) {
    rig.answer()
    rig.step()
  }
  rig.finish()
  const spans = rig.driver.spans.filter(({ name }) => name === 'spec.propose')
  assert.equal(spans.length, 1)
  assert.deepEqual([spans[0]?.attributes['source'], spans[0]?.attributes['trees'], spans[0]?.attributes['nodes']], ['remote', 4, 16], 'the one that was not waited for is counted')
})

test('without speculators nothing is asked, and without --drafting nothing of it exists', () => {
  const rig = new Rig({ speculators: [] })
  rig.generate('r')
  rig.finish()
  assert.deepEqual([rig.remote.asksTotal, rig.driver.draftNews], [0, []])
  rig.expectRight('r')
  const without = new Rig({ speculators: null })
  assert.equal(loadOf(without.driver).speculation?.remote, undefined)
})
