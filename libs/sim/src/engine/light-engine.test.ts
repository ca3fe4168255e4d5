import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineShape, SamplingParams, SequenceSpec, StepCommand, StepResult } from '@rubato/model'
import { LightEngine, lightToken } from './light-engine.ts'

const SHAPE: EngineShape = {
  modelFingerprint: 'f', blockSize: 16, cellTokens: 64, numBlocks: 10, blockBytes: 1, vocabSize: 50, maxModelLen: 1000, eosTokenIds: [1], replay: 'cells',
}
const SAMPLING: SamplingParams = {
  maxTokens: 4, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
  logitBias: [], seed: 9, stopTokenIds: [2], ignoreEos: false, logprobs: null,
}

const spec = (handle: number, emittedIds: readonly number[] = []): SequenceSpec => ({ handle, sequence: 0, promptIds: Array.from({ length: 100 }, () => 7), emittedIds, sampling: SAMPLING })
const decode = (handle: number, tree: StepCommand['decodes'][number]['tree'] = null, forced = false) => ({ handle, tree, forced })
const token = (index: number): number => lightToken({ seed: 9, sequence: 0, index }, SHAPE.vocabSize)

function run(engine: LightEngine, work: Partial<StepCommand>) {
  const command: StepCommand = { kind: 'step', stepId: 1, admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [], ...work }
  const { cells, decodes } = engine.begin(command)
  // What begin() gives is reused by the next step.
  const begun = structuredClone({ cells, decodes })
  return { begun, result: engine.apply(command) as StepResult }
}

test('a prompt, its tokens to the last, and the work of each step', () => {
  const engine = new LightEngine(SHAPE)
  const first = run(engine, { admit: [spec(1)], cells: [{ handle: 1, start: 0, count: 64, sampleHandles: [] }, { handle: 1, start: 64, count: 36, sampleHandles: [1] }] })
  assert.deepEqual(first.begun.cells, [{ cellTokens: 64, contextTokens: 0 }, { cellTokens: 36, contextTokens: 64 }])
  assert.deepEqual(first.result.tokens, [{ handle: 1, tokenIds: [token(0)], logprobs: null, finish: null, stopTokenId: null }])
  const later = [run(engine, { decodes: [decode(1)] }), run(engine, { decodes: [decode(1)] }), run(engine, { decodes: [decode(1)], release: [1] })]
  assert.deepEqual(later.map(({ begun }) => begun.decodes), [[{ contextTokens: 101, nodes: 0 }], [{ contextTokens: 102, nodes: 0 }], [{ contextTokens: 103, nodes: 0 }]])
  assert.deepEqual(later.map(({ result }) => [result.tokens[0]!.tokenIds, result.tokens[0]!.finish]), [[[token(1)], null], [[token(2)], null], [[token(3)], 'length']])
  assert.equal(engine.numLive, 0)
})

test('a sequence that was recovered goes on with the next token, and a replayed one emits nothing', () => {
  const engine = new LightEngine(SHAPE)
  const { result } = run(engine, { admit: [spec(5, [token(0), token(1)])], decodes: [decode(5, null, true)] })
  assert.deepEqual(result.tokens, [])
  assert.deepEqual(run(engine, { decodes: [decode(5)] }).result.tokens[0]!.tokenIds, [token(2)])
})

test('a draft tree is followed for as long as it guesses right, and never past the end', () => {
  const engine = new LightEngine(SHAPE)
  run(engine, { admit: [spec(1)], cells: [{ handle: 1, start: 0, count: 100, sampleHandles: [1] }] })
  const tree = { tokenIds: [token(1), 49, token(2), token(3), token(4)], parents: [-1, -1, 0, 2, 3] }
  const { begun, result } = run(engine, { decodes: [decode(1, tree)] })
  assert.deepEqual(begun.decodes, [{ contextTokens: 101, nodes: 5 }])
  assert.deepEqual([result.tokens[0]!.tokenIds, result.tokens[0]!.finish], [[token(1), token(2), token(3)], 'length'])
})

test('decoding after the end, and a handle that nobody admitted, are the death of the engine', () => {
  const engine = new LightEngine(SHAPE)
  run(engine, { admit: [{ ...spec(1), sampling: { ...SAMPLING, maxTokens: 1 } }], cells: [{ handle: 1, start: 0, count: 100, sampleHandles: [1] }] })
  assert.throws(() => run(engine, { decodes: [decode(1)] }), /after its end/)
  assert.throws(() => run(engine, { decodes: [decode(2)] }), /not admitted/)
  engine.apply({ kind: 'reset' })
  assert.equal(engine.numLive, 0)
})
