import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StepCommand } from '@rubato/model'
import { SMALL_SHAPE, manualScheduler } from '@rubato/testing'
import { fixedStepTime, syntheticCostModel } from './open-synthetic-engine.ts'
import { SyntheticEngine } from './synthetic-engine.ts'
import type { StepTime } from './synthetic-engine.ts'

const COSTS: StepTime = {
  kind: 'predicted',
  costModel: { decode: { fixedMs: 2, perSequenceMs: 1, perNodeMs: 0, perContextTokenMs: 0 }, cell: { fixedMs: 4, perTokenMs: 0, perPairMs: 0 }, correctionRatio: 1 },
}

function step(stepId: number, work: Partial<StepCommand> = {}): StepCommand {
  return { kind: 'step', stepId, admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [], ...work }
}

function rig(time: StepTime) {
  const scheduler = manualScheduler()
  const engine = new SyntheticEngine({ shape: SMALL_SHAPE, time, scheduler })
  const ended: (number | string)[] = []
  const run = (command: StepCommand): void => {
    engine.execute(command).then((result) => ended.push(result.kind === 'step' ? result.stepId : result.kind), (error: Error) => ended.push(error.message))
  }
  return { scheduler, engine, ended, run }
}

/** Lets promises that are settled be heard. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('steps run one after another, each for its time', async () => {
  const { scheduler, ended, run } = rig({ kind: 'fixed', stepMs: 10 })
  for (const stepId of [1, 2, 3]) run(step(stepId))
  const endedAfter = async (ms: number): Promise<readonly (number | string)[]> => {
    scheduler.advance(ms)
    await settled()
    return [...ended]
  }
  assert.deepEqual(await endedAfter(9), [])
  assert.deepEqual(await endedAfter(1), [1])
  assert.deepEqual(await endedAfter(9), [1])
  assert.deepEqual(await endedAfter(11), [1, 2, 3])
})

test('a predicted step takes what the cost model says of its cells and decodes', async () => {
  const { scheduler, ended, run } = rig(COSTS)
  const spec = { handle: 1, sequence: 0, promptIds: [1, 2, 3, 4], emittedIds: [], sampling: { maxTokens: 5, minTokens: 0, temperature: 0, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [], seed: 0, stopTokenIds: [], ignoreEos: true, logprobs: null } }
  run(step(1, { admit: [spec], appendBlocks: [{ handle: 1, blockIds: [0, 1] }], cells: [{ handle: 1, start: 0, count: 4, sampleHandles: [1] }] }))
  run(step(2, { decodes: [{ handle: 1, tree: null, forced: false }] }))
  scheduler.advance(4)
  await settled()
  assert.deepEqual(ended, [1])
  scheduler.advance(2.9)
  await settled()
  assert.deepEqual(ended, [1])
  scheduler.advance(0.1)
  await settled()
  assert.deepEqual(ended, [1, 2])
})

test('a command that fails is the death of the engine: everything pending and later is refused, and closed says so', async () => {
  const { scheduler, engine, ended, run } = rig({ kind: 'fixed', stepMs: 1 })
  run(step(1, { decodes: [{ handle: 7, tree: null, forced: false }] }))
  run(step(2))
  scheduler.advance(5)
  assert.match((await engine.closed)!.message, /handle 7 is not admitted/)
  run(step(3))
  await settled()
  assert.equal(ended.length, 3)
  assert.ok(ended.every((message) => /the engine is gone: engine: handle 7/.test(String(message))))
})

test('closing lets what was asked for finish', async () => {
  const { scheduler, engine, ended, run } = rig({ kind: 'fixed', stepMs: 3 })
  run(step(1))
  run(step(2))
  const closing = engine.close()
  scheduler.advance(6)
  await closing
  assert.equal(await engine.closed, null)
  assert.deepEqual(ended, [1, 2])
})

test('the fitted form of any step time has costs above zero, and a missing time is five milliseconds', () => {
  assert.deepEqual(fixedStepTime(null), { kind: 'fixed', stepMs: 5 })
  assert.ok(syntheticCostModel(fixedStepTime(0)).decode.fixedMs > 0)
  assert.equal(syntheticCostModel(COSTS).decode.fixedMs, 2)
})
