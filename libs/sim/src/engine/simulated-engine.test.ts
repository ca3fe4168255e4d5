import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineCommand, EngineResult, SamplingParams, SequenceSpec, StepCommand } from '@rubato/model'
import { predictStepMs } from '@rubato/policy'
import type { StepCostModel, StepWork } from '@rubato/policy'
import { ProbeActor } from '@rubato/testing'
import { SimBus } from '../network/sim-bus.ts'
import { SimShell } from '../process/sim-shell.ts'
import { SimWorld } from '../sim-world.ts'
import { engineModel } from './engine-model.ts'
import { SimulatedEngine } from './simulated-engine.ts'

const SAMPLING: SamplingParams = {
  maxTokens: 8, minTokens: 0, temperature: 0, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0,
  repetitionPenalty: 1, logitBias: [], seed: 0, stopTokenIds: [], ignoreEos: false, logprobs: null,
}

/** A cell costs 1 ms + 0.1 ms per token; a decode run 2 ms + 1 ms per sequence + 0.5 ms per node + 0.01 ms per context token. */
const COSTS: StepCostModel = {
  decode: { fixedMs: 2, perSequenceMs: 1, perNodeMs: 0.5, perContextTokenMs: 0.01 },
  cell: { fixedMs: 1, perTokenMs: 0.1, perPairMs: 0 },
  correctionRatio: 1,
}

function step(stepId: number, work: Partial<StepCommand>): StepCommand {
  return { kind: 'step', stepId, admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [], ...work }
}

function applyStep(command: EngineCommand): EngineResult {
  if (command.kind !== 'step') return { kind: 'install-blocks' }
  return { kind: 'step', stepId: command.stepId, tokens: [], stepMs: 0, runMs: 0, cpuMs: 0, runCpuMs: 0 }
}

function rig(commands: readonly EngineCommand[], options: { readonly apply?: typeof applyStep; readonly jitterRatio?: number } = {}) {
  const world = new SimWorld({ seed: 5 })
  const shell = new SimShell({ world, bus: new SimBus({ world }) })
  const probe = new ProbeActor(commands.map((command, i) => ({ kind: 'engine', id: i + 1, command })))
  const endsMs: number[] = []
  const { apply = applyStep, jitterRatio = 0 } = options
  const timer = { stepMs: (work: StepWork) => predictStepMs(COSTS, work) }
  const effects = { engine: new SimulatedEngine({ scheduler: world, timer, model: engineModel(apply), random: world.random('jitter'), jitterRatio }) }
  shell.spawn({ address: 'i', factory: () => ({ actor: probe, effects }), onIncoming: () => endsMs.push(world.nowMs()) })
  return { world, shell, probe, endsMs }
}

const cell = { handle: 1, start: 0, count: 128, sampleHandles: [1] }
const admit = (handle: number): SequenceSpec => ({ handle, sequence: 0, promptIds: Array.from({ length: 100 }, () => 7), emittedIds: [], sampling: SAMPLING })
const plain = (handle: number) => ({ handle, tree: null, forced: false })
const verify = (handle: number) => ({ handle, tree: { tokenIds: [1, 2], parents: [-1, 0] }, forced: false })

test('steps take the cost model\'s time, one after another', () => {
  // A cell: 13.8 ms. Two plain decodes over 100 tokens each: 2 + 2 + 2 = 6 ms; one verify of two nodes: 2 + 1 + 1 + 1 = 5 ms.
  const commands = [step(1, { admit: [admit(1), admit(2), admit(3)], cells: [cell] }), step(2, { decodes: [plain(1), plain(2), verify(3)] }), step(3, { cells: [cell], decodes: [plain(1)] })]
  const { world, probe, endsMs } = rig(commands)
  world.runUntilIdle()
  const expectedMs = [13.8, 24.8, 24.8 + 13.8 + 4]
  endsMs.forEach((endMs, i) => assert.ok(Math.abs(endMs - expectedMs[i]!) < 1e-9, `${endsMs.join(', ')}`))
  const [outcome] = probe.outcomesOf(2)
  assert.ok(outcome?.kind === 'done')
  const result = outcome.value as EngineResult
  assert.ok(result.kind === 'step' && result.stepId === 2 && Math.abs(result.stepMs - 11) < 1e-9)
})

test('contexts grow with the tokens emitted and are forgotten on release', () => {
  const emit = (command: EngineCommand): EngineResult => {
    const result = applyStep(command)
    if (command.kind !== 'step' || result.kind !== 'step') return result
    return { ...result, tokens: command.decodes.map(({ handle }) => ({ handle, tokenIds: [1, 2], logprobs: null, finish: null, stopTokenId: null })) }
  }
  const decode = { decodes: [plain(1)] }
  const commands = [step(1, { admit: [admit(1)], ...decode }), step(2, decode), step(3, { ...decode, release: [1] }), step(4, decode)]
  const { world, endsMs } = rig(commands, { apply: emit })
  world.runUntilIdle()
  const durations = endsMs.map((endMs, i) => Math.round((endMs - (endsMs[i - 1] ?? 0)) * 1000) / 1000)
  assert.deepEqual(durations, [4, 4.02, 4.04, 3])
})

test('a step that fails is the engine\'s death: everything after it fails too', () => {
  const applied: number[] = []
  const apply = (command: EngineCommand): EngineResult => {
    if (command.kind === 'step') applied.push(command.stepId)
    if (command.kind === 'step' && command.stepId === 2) throw new Error('kernel panic')
    return applyStep(command)
  }
  const { world, probe } = rig([step(1, {}), step(2, {}), step(3, {})], { apply })
  world.runUntilIdle()
  const failure = { kind: 'failed', error: { code: 'engine_failed', message: 'kernel panic', retryable: false } }
  assert.equal(probe.outcomesOf(1)[0]?.kind, 'done')
  assert.deepEqual([...probe.outcomesOf(2), ...probe.outcomesOf(3)], [failure, failure])
  assert.deepEqual(applied, [1, 2])
})

test('a killed engine fails what it was given at once, tells of its death once, and a reset waits its turn', () => {
  const world = new SimWorld({ seed: 5 })
  const deaths: unknown[] = []
  const kinds: string[] = []
  const apply = (command: EngineCommand): EngineResult => {
    kinds.push(command.kind)
    return command.kind === 'reset' ? { kind: 'reset' } : applyStep(command)
  }
  const timer = { stepMs: () => 10 }
  const engine = new SimulatedEngine({ scheduler: world, timer, model: engineModel(apply), random: world.random('jitter'), onDeath: (error) => deaths.push(error) })
  const shell = new SimShell({ world, bus: new SimBus({ world }) })
  const probe = new ProbeActor([step(1, {}), step(2, {}), step(3, {})].map((command, i) => ({ kind: 'engine', id: i + 1, command })))
  shell.spawn({ address: 'i', factory: () => ({ actor: probe, effects: { engine } }) })
  engine.reset()
  world.runFor(15)
  const reason = new Error('killed')
  engine.kill(reason)
  engine.kill(new Error('again'))
  world.runUntilIdle()
  assert.deepEqual([1, 2, 3].map((id) => probe.outcomesOf(id).map(({ kind }) => kind)), [['done'], ['failed'], ['failed']])
  assert.deepEqual([deaths, kinds], [[reason], ['step']])
  const idle = new SimulatedEngine({ scheduler: world, timer, model: engineModel(apply), random: world.random('jitter') })
  idle.reset()
  world.runUntilIdle()
  assert.deepEqual(kinds, ['step', 'reset'])
})

test('a crashed instance hears nothing of the step it had given', () => {
  const { world, shell, probe } = rig([step(1, { cells: [cell] })])
  world.runFor(5)
  shell.crash('i')
  world.runUntilIdle()
  assert.deepEqual(probe.received, [])
})

test('jitter is seeded and bounded', () => {
  const ends = () => {
    const { world, endsMs } = rig(Array.from({ length: 8 }, (_, i) => step(i, { cells: [cell] })), { jitterRatio: 0.2 })
    world.runUntilIdle()
    return endsMs
  }
  const first = ends()
  assert.deepEqual(ends(), first)
  const durations = first.map((endMs, i) => endMs - (first[i - 1] ?? 0))
  assert.ok(durations.every((ms) => ms >= 13.8 * 0.8 - 1e-9 && ms <= 13.8 * 1.2 + 1e-9), durations.join(', '))
  assert.ok(new Set(durations).size > 1)
})
