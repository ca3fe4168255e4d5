import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SequenceSpec, StepCommand, StepResult } from '@rubato/model'
import { SMALL_SHAPE, generateMessage } from './instance-fixture.ts'
import { MemoryEngine, referenceTokens } from './memory-engine.ts'

const promptIds = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
const { sampling } = generateMessage('r', { sampling: { maxTokens: 12 } })
const spec: SequenceSpec = { handle: 1, sequence: 0, promptIds, emittedIds: [], sampling }
const expected = referenceTokens(spec, SMALL_SHAPE)
const CELLS = [{ handle: 1, start: 0, count: 8, sampleHandles: [] }, { handle: 1, start: 8, count: 2, sampleHandles: [1] }]
const DECODE = { handle: 1, tree: null, forced: false }

function step(engine: MemoryEngine, command: Partial<StepCommand>): StepResult {
  const empty: StepCommand = { kind: 'step', stepId: 1, admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [] }
  const result = engine.apply({ ...empty, ...command })
  assert.equal(result.kind, 'step')
  return result as StepResult
}

function prefilled(blockIds = [5, 3, 9, 2, 7, 8]): MemoryEngine {
  const engine = new MemoryEngine(SMALL_SHAPE)
  const result = step(engine, { admit: [spec], appendBlocks: [{ handle: 1, blockIds }], cells: CELLS })
  assert.deepEqual(result.tokens[0]?.tokenIds, expected.slice(0, 1))
  return engine
}

test('tokens are those of the reference, to the length asked for', () => {
  const engine = prefilled()
  const tokens = [expected[0]!]
  for (let left = 11; left > 0; left--) {
    const [result] = step(engine, { decodes: [DECODE] }).tokens
    tokens.push(...result!.tokenIds)
    assert.equal(result!.finish, left === 1 ? 'length' : null)
  }
  assert.deepEqual(tokens, expected)
  assert.throws(() => step(engine, { decodes: [DECODE] }), /after its end/)
})

test('an overwritten block changes the tokens that follow', () => {
  const engine = prefilled()
  const intruder: SequenceSpec = { ...spec, handle: 2, promptIds: [91, 92, 93, 94], sampling }
  step(engine, { release: [1] })
  step(engine, { admit: [intruder], appendBlocks: [{ handle: 2, blockIds: [3] }], cells: [{ handle: 2, start: 0, count: 4, sampleHandles: [] }], release: [2] })
  const again = { ...spec, handle: 3, emittedIds: expected.slice(0, 1) }
  const { tokens } = step(engine, { admit: [again], appendBlocks: [{ handle: 3, blockIds: [5, 3, 9, 2] }], decodes: [{ ...DECODE, handle: 3 }] })
  assert.notDeepEqual(tokens[0]?.tokenIds, expected.slice(1, 2))
})

test('reading an unwritten block and writing a shared one are refused', () => {
  const engine = prefilled()
  const other = { ...spec, handle: 2, emittedIds: expected.slice(0, 1) }
  assert.throws(() => step(engine, { admit: [other], appendBlocks: [{ handle: 2, blockIds: [5, 3, 9] }], decodes: [{ ...DECODE, handle: 2 }] }), /which 2 tables hold/)
  const fresh = prefilled()
  const copied = { admit: [other], appendBlocks: [{ handle: 2, blockIds: [30, 31, 32] }], copyBlocks: [{ from: 9, to: 32 }], decodes: [{ ...DECODE, handle: 2 }] }
  assert.throws(() => step(fresh, copied), /never written/)
})

test('cells that break the cell grid are refused', () => {
  for (const cell of [{ start: 0, count: 4 }, { start: 4, count: 4 }, { start: 8, count: 1 }]) {
    const engine = new MemoryEngine(SMALL_SHAPE)
    assert.throws(() => step(engine, { admit: [spec], appendBlocks: [{ handle: 1, blockIds: [0, 1, 2] }], cells: [{ handle: 1, ...cell, sampleHandles: [] }] }), /cell/)
  }
})

test('a draft tree yields the tokens that plain decodes would, as far as it guessed them', () => {
  const engine = prefilled()
  const tree = { tokenIds: [999, expected[1]!, expected[2]!, 998], parents: [-1, -1, 1, 2] }
  const [verified] = step(engine, { decodes: [{ handle: 1, tree, forced: false }] }).tokens
  assert.deepEqual(verified?.tokenIds, expected.slice(1, 4))
  assert.deepEqual(step(engine, { decodes: [DECODE] }).tokens[0]?.tokenIds, expected.slice(4, 5))
})

test('exported blocks carry a sequence to another engine', () => {
  const engine = prefilled()
  const exported = engine.apply({ kind: 'export-blocks', blockIds: [5, 3, 9] })
  assert.equal(exported.kind, 'export-blocks')
  const other = new MemoryEngine(SMALL_SHAPE)
  other.apply({ kind: 'install-blocks', blockIds: [1, 2, 4], bytes: exported.kind === 'export-blocks' ? exported.bytes : new Uint8Array() })
  const moved = { ...spec, handle: 7, emittedIds: expected.slice(0, 1) }
  const { tokens } = step(other, { admit: [moved], appendBlocks: [{ handle: 7, blockIds: [1, 2, 4] }], decodes: [{ ...DECODE, handle: 7 }] })
  assert.deepEqual(tokens[0]?.tokenIds, expected.slice(1, 2))
})
