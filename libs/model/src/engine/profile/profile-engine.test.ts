import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'
import { OnnxEngine } from '../onnx-engine.ts'
import type { Engine, EngineCommand, StepCommand } from '../step.ts'
import { loadOrMeasureProfile } from './load-profile.ts'
import { profileEngine } from './profile-engine.ts'
import { profilePlan } from './profile-plan.ts'
import { ScratchArena, scratchTree } from './scratch-arena.ts'
import { ScratchBatch } from './scratch-batch.ts'

const FIXED_PROFILE = path.resolve(import.meta.dirname, '../../../../testing/profiles/fixed.json')
const ENOUGH_MS = 1e9

let folder = ''
let engine: OnnxEngine
const cleanups: (() => void)[] = []

before(async () => {
  folder = temporaryFolder({ after: (clean) => cleanups.push(clean as () => void) })
  const modelDir = writeTinyCheckpoint(path.join(folder, 'model'), { maxPositions: 1024 })
  engine = await OnnxEngine.open({
    modelDir, dtype: 'float32', textDigest: '', eosTokenIds: null, maxModelLen: null, blockSize: 64, cellTokens: 128, kvCacheBytes: 4 << 20, intraOpThreads: 1, cacheDir: folder,
  })
})

after(async () => {
  await engine.close()
  for (const clean of cleanups) clean()
})

/** The engine as its owner sees it, with the commands that went to it. */
function recorded(): { readonly engine: Engine; readonly steps: StepCommand[] } {
  const steps: StepCommand[] = []
  const execute: Engine['execute'] = (command: EngineCommand) => {
    if (command.kind === 'step') steps.push(command)
    return engine.execute(command)
  }
  return { engine: { shape: engine.shape, execute, closed: engine.closed, close: () => Promise.resolve() }, steps }
}

/** A clock that every reading moves on. */
function tickingClock(tickMs: number): () => number {
  let nowMs = 0
  return () => (nowMs += tickMs)
}

function assertNothingHeld(steps: readonly StepCommand[]): void {
  const admitted = steps.flatMap(({ admit }) => admit.map(({ handle }) => handle))
  assert.deepEqual(steps.flatMap(({ release }) => release), admitted)
  assert.equal(new Set(admitted).size, admitted.length)
}

test('every planned point is measured when time lasts, and nothing stays admitted', async () => {
  const { engine: watched, steps } = recorded()
  const points = await profileEngine(watched, { budgetMs: ENOUGH_MS, maxNumSeqs: 8, now: () => 0 })
  assertNothingHeld(steps)
  assert.deepEqual(new Set(points.map(({ kind }) => kind)), new Set(['decode', 'verify', 'cell']))
  for (const point of points) {
    assert.ok(point.ms > 0)
    if (point.kind !== 'cell') assert.ok(point.batch <= 8 && point.batch * point.contextTokens <= engine.shape.numBlocks * engine.shape.blockSize)
  }
  for (const { handle, blockIds } of steps.flatMap(({ appendBlocks }) => appendBlocks)) assert.equal(new Set(blockIds).size, blockIds.length, `handle ${handle}`)
})

test('the plan begins with one decode, one cell and a large batch, and repeats nothing', () => {
  const shape = { ...engine.shape, numBlocks: 10_000, maxModelLen: 4096 }
  const plan = profilePlan(shape, 64, 48)
  assert.deepEqual(plan.slice(0, 3), [
    { kind: 'decode', batch: 1, contextTokens: 512 }, { kind: 'cell', cellTokens: 128, contextTokens: 0 }, { kind: 'decode', batch: 16, contextTokens: 512 },
  ])
  assert.equal(new Set(plan.map((point) => JSON.stringify(point))).size, plan.length)
  for (const batch of [1, 2, 4, 8, 16, 32, 64]) assert.ok(plan.some((point) => point.kind === 'decode' && point.batch === batch), `batch ${batch}`)
})

test('a spent budget ends the measuring, but never before a decode and a cell', async () => {
  const least = await profileEngine(engine, { budgetMs: 0, maxNumSeqs: 8, now: tickingClock(1) })
  assert.deepEqual(least.map(({ kind }) => kind), ['decode', 'cell'])
  const ratios: number[] = []
  const { engine: watched, steps } = recorded()
  const some = await profileEngine(watched, { budgetMs: 60, maxNumSeqs: 8, now: tickingClock(2), onProgress: (_, doneRatio) => ratios.push(doneRatio!) })
  assert.ok(some.length > 2 && some.length < profilePlan(engine.shape, 8, 48).length, `${some.length} points`)
  assert.deepEqual(ratios, ratios.toSorted((a, b) => a - b))
  assert.equal(ratios.at(-1), 1)
  assertNothingHeld(steps)
})

test('an aborted profile releases what it held', async () => {
  const { engine: watched, steps } = recorded()
  const abort = new AbortController()
  const now = (): number => (steps.length > 12 ? (abort.abort(new Error('enough')), 0) : 0)
  await assert.rejects(profileEngine(watched, { budgetMs: ENOUGH_MS, maxNumSeqs: 8, now, signal: abort.signal }), /enough/)
  assertNothingHeld(steps)
})

test('a measured profile is cached, reused, refreshed on request, and measured anew when damaged', async () => {
  const cacheDir = path.join(folder, 'profile-cache')
  const load = (mode: string, threads = 1) => loadOrMeasureProfile({ engine, cacheDir, mode, threads, budgetMs: 0, maxNumSeqs: 4, now: tickingClock(1) })
  const first = await load('auto')
  assert.equal(first.source, 'measured')
  assert.deepEqual(await load('auto'), { ...first, source: 'cached' })
  assert.equal((await load('auto', 2)).source, 'measured', 'another number of threads is another profile')
  const entries = readdirSync(path.join(cacheDir, 'profiles'))
  assert.equal(entries.length, 2, 'no draft is left behind')
  for (const entry of entries) {
    const file = path.join(cacheDir, 'profiles', entry)
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, -20))
  }
  assert.equal((await load('auto')).source, 'measured')
  assert.equal((await load('auto')).source, 'cached')
  assert.equal((await load('refresh')).source, 'measured')
})

test('a profile file is used as it is, and anything else is refused by name', async () => {
  const load = (mode: string) => loadOrMeasureProfile({ engine, cacheDir: path.join(folder, 'unused'), mode, threads: 1, budgetMs: 0, maxNumSeqs: 4 })
  const { source, points, model } = await load(FIXED_PROFILE)
  assert.equal(source, 'file')
  assert.ok(points.length > 10 && model.decode.fixedMs > 0 && model.cell.perTokenMs > 0)
  await assert.rejects(load(path.join(folder, 'nothing.json')), { code: 'invalid_argument', field: 'profile' })
  mkdirSync(path.join(folder, 'bad'), { recursive: true })
  for (const [name, text] of [['empty', '{}'], ['negative', '{"format":1,"points":[{"kind":"decode","batch":1,"contextTokens":1,"ms":-1}]}'], ['unknown', '{"format":1,"points":[{"kind":"train","ms":1}]}']] as const) {
    const file = path.join(folder, 'bad', name)
    writeFileSync(file, text)
    await assert.rejects(load(file), { field: 'profile' }, name)
  }
})

test('a scratch batch decodes behind its contexts and refuses what does not fit', async () => {
  const arena = new ScratchArena(engine)
  const batch = await ScratchBatch.open(arena, { contexts: [10, 100, 300], roomTokens: 20 })
  const decoded = await batch.decode(null)
  assert.deepEqual(decoded.tokens.map(({ tokenIds }) => tokenIds.length), [1, 1, 1])
  const verified = await batch.decode(scratchTree(7, engine.shape.vocabSize))
  assert.equal(verified.tokens.length, 3)
  await batch.close()
  await assert.rejects(ScratchBatch.open(arena, { contexts: [1020], roomTokens: 20 }), RangeError)
  assert.deepEqual(scratchTree(7, 1 << 20).parents, [-1, -1, 0, 0, 1, 1, 2])
})
