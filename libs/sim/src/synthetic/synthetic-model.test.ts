import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InstanceActor } from '@rubato/instance'
import type { EngineShape, SequenceSpec, StepCommand } from '@rubato/model'
import { InstanceDriver, SMALL_SHAPE, firstComeBatching, generateMessage, seededRandom, testHashBlock, testSeed } from '@rubato/testing'
import { SyntheticModel } from './synthetic-model.ts'
import { syntheticTokens } from './token-rule.ts'

const SHAPE: EngineShape = { ...SMALL_SHAPE, blockBytes: 64 }

function specOf(handle: number, promptLen: number, fields: Partial<SequenceSpec> = {}): SequenceSpec {
  const promptIds = Array.from({ length: promptLen }, (_, place) => place * 7 + 1)
  return { handle, sequence: 0, promptIds, emittedIds: [], sampling: generateMessage('r').sampling, ...fields }
}

function step(work: Partial<StepCommand>): StepCommand {
  return { kind: 'step', stepId: 1, admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [], ...work }
}

function driverOn(shape: EngineShape): InstanceDriver<SyntheticModel> {
  const actor = new InstanceActor({
    instanceId: 'i1', address: 'instance/i1', incarnation: 1, shape, batching: firstComeBatching, limits: { maxNumSeqs: 6, maxNumBatchedTokens: 24 },
    hashBlock: testHashBlock, rootHash: (cacheSalt) => `root:${cacheSalt}`, enablePrefixCache: true,
  })
  return new InstanceDriver(actor, new SyntheticModel(shape))
}

test('an instance gives the tokens of the rule under random load, preemption and prefix hits, and the engine forgets all of it', () => {
  const seed = testSeed(11)
  const random = seededRandom(seed)
  const shape = { ...SHAPE, numBlocks: 48 }
  const driver = driverOn(shape)
  const messages = Array.from({ length: 40 }, (_, index) => {
    const promptIds = [...Array.from({ length: random.int(3) * 4 }, (_unused, place) => place), ...Array.from({ length: 1 + random.int(30) }, () => random.int(1000))]
    return generateMessage(`r${index}`, { promptIds, n: 1 + random.int(3), sampling: { maxTokens: 1 + random.int(20), seed: random.int(9), ignoreEos: false } })
  })
  for (const message of messages) {
    driver.deliver(message)
    for (let steps = random.int(6); steps > 0 && driver.command !== null; steps--) driver.completeStep()
  }
  driver.runToIdle()
  for (const message of messages) {
    for (let sequence = 0; sequence < message.emittedIds.length; sequence++) {
      const expected = syntheticTokens({ promptIds: message.promptIds, sequence, sampling: message.sampling }, shape)
      assert.deepEqual(driver.choice(message.requestId, sequence).tokenIds, expected, `seed ${seed}, ${message.requestId}#${sequence}`)
    }
  }
  assert.equal(driver.engine.numLive, 0)
})

test('blocks that another engine computed are accepted as exported, and decoding goes on as if nothing had happened', () => {
  const spec = specOf(1, 10)
  const expected = syntheticTokens(spec, SHAPE)
  const source = new SyntheticModel(SHAPE)
  const first = source.apply(step({ admit: [spec], appendBlocks: [{ handle: 1, blockIds: [5, 6, 7] }], cells: [{ handle: 1, start: 0, count: 8, sampleHandles: [] }, { handle: 1, start: 8, count: 2, sampleHandles: [1] }] }))
  assert.ok(first.kind === 'step')
  const exported = source.apply({ kind: 'export-blocks', blockIds: [5, 6, 7] })
  assert.ok(exported.kind === 'export-blocks')
  assert.equal(exported.bytes.length, 3 * SHAPE.blockBytes)

  const destination = new SyntheticModel(SHAPE)
  destination.apply({ kind: 'install-blocks', blockIds: [9, 2, 30], bytes: exported.bytes })
  const moved = { ...spec, handle: 4, emittedIds: first.tokens[0]!.tokenIds }
  const next = destination.apply(step({ admit: [moved], appendBlocks: [{ handle: 4, blockIds: [9, 2, 30] }], decodes: [{ handle: 4, tree: null, forced: false }] }))
  assert.ok(next.kind === 'step')
  assert.deepEqual([...moved.emittedIds, ...next.tokens[0]!.tokenIds], expected.slice(0, 2))
})

test('a table that names the wrong block, and a block that arrived damaged, are the end of the engine', () => {
  const spec = specOf(1, 8)
  const engine = new SyntheticModel(SHAPE)
  engine.apply(step({ admit: [spec], appendBlocks: [{ handle: 1, blockIds: [0, 1] }], cells: [{ handle: 1, start: 0, count: 8, sampleHandles: [1] }] }))
  const swapped = step({ admit: [{ ...spec, handle: 2, emittedIds: [3] }], appendBlocks: [{ handle: 2, blockIds: [1, 0, 2] }], decodes: [{ handle: 2, tree: null, forced: false }] })
  assert.throws(() => engine.apply(swapped), /block 1 does not hold tokens 0 to 3 of handle 2/)
  const exported = engine.apply({ kind: 'export-blocks', blockIds: [0] })
  assert.ok(exported.kind === 'export-blocks')
  exported.bytes[SHAPE.blockBytes - 1]! ^= 1
  assert.throws(() => engine.apply({ kind: 'install-blocks', blockIds: [3], bytes: exported.bytes }), /block 3 arrived damaged/)
})

test('a draft tree is followed for as long as it guesses right', () => {
  const spec = specOf(1, 4)
  const [first, second, third, fourth] = syntheticTokens(spec, SHAPE)
  const engine = new SyntheticModel(SHAPE)
  engine.apply(step({ admit: [spec], appendBlocks: [{ handle: 1, blockIds: [0, 1, 2] }], cells: [{ handle: 1, start: 0, count: 4, sampleHandles: [1] }] }))
  const tree = { tokenIds: [second! + 1, second!, third!, fourth! + 1], parents: [-1, -1, 1, 2] }
  const result = engine.apply(step({ decodes: [{ handle: 1, tree, forced: false }] }))
  assert.ok(result.kind === 'step' && first !== undefined)
  assert.deepEqual(result.tokens[0]!.tokenIds, [second, third, fourth])
})

test('a prompt with the poison token kills the engine that admits it', () => {
  const engine = new SyntheticModel(SHAPE, { poisonTokenId: 8 })
  assert.throws(() => engine.apply(step({ admit: [specOf(1, 4)] })), /token 8 is poison/)
})

test('a reset forgets every sequence; the same handle can be admitted again', () => {
  const engine = new SyntheticModel(SHAPE)
  const admit = step({ admit: [specOf(1, 4)], appendBlocks: [{ handle: 1, blockIds: [0] }] })
  engine.apply(admit)
  assert.deepEqual(engine.apply({ kind: 'reset' }), { kind: 'reset' })
  assert.equal(engine.numLive, 0)
  engine.apply(admit)
})
