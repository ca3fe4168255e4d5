import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { EngineShape } from '@rubato/model'
import { parseProfile } from '@rubato/model/profile'
import { costModelError, fitCostModel, predictStepMs } from '@rubato/policy'
import type { CostPoint } from '@rubato/policy'
import { SMALL_SHAPE, seededRandom, testSeed } from '@rubato/testing'
import { cell, decodes, together } from '../fixtures/step-works.ts'
import { openTimer } from '../open-timer.ts'
import { ratioAt, ratioTree } from './measured-ratios.ts'
import { profileOf, profilePointsOf } from './profile-of.ts'
import { profileTimer } from './profile-timer.ts'

const MEASURED = parseProfile(readFileSync(path.resolve(import.meta.dirname, '../../../../testing/profiles/fixed.json'), 'utf8'))!
const SHAPE: EngineShape = { ...SMALL_SHAPE, blockSize: 16, cellTokens: 512, numBlocks: 20_000, maxModelLen: 8192 }

function workOf(point: CostPoint) {
  return point.kind === 'cell' ? cell(point.cellTokens, point.contextTokens) : decodes(point.batch, point.contextTokens, point.kind === 'verify' ? point.nodes : 0)
}

test('every measured point takes what was measured, though the fit misses it', () => {
  const timer = profileTimer(MEASURED)
  for (const point of MEASURED) assert.ok(Math.abs(timer.stepMs(workOf(point)) / point.ms - 1) < 1e-9, JSON.stringify(point))
  assert.ok(costModelError(fitCostModel(MEASURED), MEASURED) > 0.01)
})

test('a linear machine is interpolated and extrapolated exactly', () => {
  const seed = testSeed(31)
  const random = seededRandom(seed)
  const truth = fitCostModel(MEASURED)
  const timer = profileTimer(MEASURED.map((point) => ({ ...point, ms: predictStepMs(truth, workOf(point)) })))
  for (let round = 0; round < 200; round++) {
    const work = together(cell(1 + random.int(512), random.int(4096)), { cells: [], decodes: Array.from({ length: random.int(40) }, () => ({ contextTokens: random.int(4000), nodes: random.int(12) })) })
    const expectedMs = predictStepMs(truth, work)
    assert.ok(Math.abs(timer.stepMs(work) / expectedMs - 1) < 0.02, `seed ${seed} round ${round}: ${timer.stepMs(work)} for ${expectedMs}`)
  }
})

test('between measured points the correction lies between theirs, outside it stays', () => {
  const tree = ratioTree([
    { coordinates: [1, 64], ratio: 1 }, { coordinates: [1, 512], ratio: 2 }, { coordinates: [3, 64], ratio: 3 },
  ])!
  assert.equal(ratioAt(tree, [1, 64]), 1)
  assert.equal(ratioAt(tree, [0, 8]), 1)
  assert.equal(ratioAt(tree, [1, 9000]), 2)
  assert.equal(ratioAt(tree, [9, 9]), 3)
  // log(1 + 1) = log 2 and log(1 + 3) = log 4: log(1 + 1.8284) is half way between.
  assert.ok(Math.abs(ratioAt(tree, [2 ** 1.5 - 1, 64]) - 2) < 1e-9)
  assert.equal(ratioTree([]), null)
})

test('a step is the sum of its runs, as on the engine that was measured', () => {
  const timer = profileTimer(MEASURED)
  const sumMs = timer.stepMs(cell(128)) + timer.stepMs(decodes(4, 512)) + timer.stepMs(decodes(4, 512, 3))
  assert.ok(Math.abs(timer.stepMs(together(cell(128), together(decodes(4, 512), decodes(4, 512, 3)))) - sumMs) < 1e-9)
  assert.equal(timer.stepMs({ cells: [], decodes: [] }), 0)
  assert.throws(() => profileTimer([]), RangeError)
})

test('what policies believe of a simulated accelerator is the live fit over the live plan', (t) => {
  const machines = [
    ['composed', { accelerator: 'a100-80gb', model: 'llama3-8b', tp: 1, pp: 1 }], ['splitwise', { accelerator: 'h100-80gb', model: 'llama2-70b', tp: 8, pp: 1 }],
    ['distserve', { accelerator: 'a100-80gb', model: 'opt-13b', tp: 1, pp: 1 }],
  ] as const
  for (const [kind, machine] of machines) {
    const timer = openTimer({ kind }, machine)
    const ranges = { shape: SHAPE, maxNumSeqs: 64 }
    const points = profilePointsOf(timer, ranges)
    const model = profileOf(timer, ranges)
    assert.deepEqual(new Set(points.map((point) => point.kind)), new Set(['decode', 'verify', 'cell']))
    assert.deepEqual(model, fitCostModel(points))
    const error = costModelError(model, points)
    t.diagnostic(`${kind}: the fit is off by ${(100 * error).toFixed(1)} % in the mean over ${points.length} points`)
    assert.ok(error < 0.05, `${kind}: ${error}`)
  }
})
