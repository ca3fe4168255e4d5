import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { costModelError, fitCostModel } from './fit.ts'
import type { CostPoint } from './fit.ts'
import { fitNonNegative } from './least-squares.ts'
import { correctCostModel, predictCellMs, predictDecodeMs } from './model.ts'
import type { StepCostModel } from './model.ts'
import { predictStepMs } from './step.ts'

const TRUTH: StepCostModel = {
  decode: { fixedMs: 3, perSequenceMs: 0.4, perNodeMs: 0.35, perContextTokenMs: 0.0004 },
  cell: { fixedMs: 2, perTokenMs: 0.3, perPairMs: 0.00005 },
  correctionRatio: 1,
}

function close(actual: number, expected: number, ratio = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= ratio * Math.abs(expected), `${actual} is not ${expected}`)
}

function profileOf(model: StepCostModel, noise: () => number): CostPoint[] {
  const points: CostPoint[] = []
  for (const batch of [1, 4, 16, 32]) {
    for (const contextTokens of [64, 512, 2048]) {
      points.push({ kind: 'decode', batch, contextTokens, ms: predictDecodeMs(model, { batch, contextTokensSum: batch * contextTokens, nodes: 0 }) * noise() })
      const nodes = 7
      points.push({ kind: 'verify', batch, nodes, contextTokens, ms: predictDecodeMs(model, { batch, contextTokensSum: batch * contextTokens, nodes: nodes * batch }) * noise() })
    }
  }
  for (const cellTokens of [32, 128]) {
    for (const contextTokens of [0, 512, 4096]) points.push({ kind: 'cell', cellTokens, contextTokens, ms: predictCellMs(model, { cellTokens, contextTokens }) * noise() })
  }
  return points
}

test('predictions are the linear forms: a worked example', () => {
  // 3 + 0.4 * 8 + 0.0004 * 4096 = 7.8384; with 56 nodes another 19.6.
  close(predictDecodeMs(TRUTH, { batch: 8, contextTokensSum: 4096, nodes: 0 }), 7.8384)
  close(predictDecodeMs(TRUTH, { batch: 8, contextTokensSum: 4096, nodes: 56 }), 27.4384)
  // 128 tokens after 256: pairs = 128 * 256 + 128 * 129 / 2 = 41024; 2 + 38.4 + 2.0512.
  close(predictCellMs(TRUTH, { cellTokens: 128, contextTokens: 256 }), 42.4512)
  assert.equal(predictDecodeMs(TRUTH, { batch: 0, contextTokensSum: 0, nodes: 0 }), 0)
})

test('a step is the sum of its runs: one per cell, one per number of nodes', () => {
  const decodes = [{ contextTokens: 100, nodes: 0 }, { contextTokens: 300, nodes: 7 }, { contextTokens: 200, nodes: 0 }]
  const cells = [{ cellTokens: 128, contextTokens: 0 }, { cellTokens: 128, contextTokens: 128 }]
  const expected = predictDecodeMs(TRUTH, { batch: 2, contextTokensSum: 300, nodes: 0 }) + predictDecodeMs(TRUTH, { batch: 1, contextTokensSum: 300, nodes: 7 })
    + predictCellMs(TRUTH, cells[0]!) + predictCellMs(TRUTH, cells[1]!)
  close(predictStepMs(TRUTH, { cells, decodes }), expected)
  assert.equal(predictStepMs(TRUTH, { cells: [], decodes: [] }), 0)
})

test('the fit recovers a linear machine exactly and survives JSON', () => {
  const points = profileOf(TRUTH, () => 1)
  const fitted = fitCostModel(points)
  assert.ok(costModelError(fitted, points) < 0.005, `error ${costModelError(fitted, points)}`)
  assert.deepEqual(JSON.parse(JSON.stringify(fitted)), fitted)
})

test('the fit predicts a noisy machine within the noise, with no negative term', () => {
  const seed = testSeed(11)
  const random = seededRandom(seed)
  for (let round = 0; round < 20; round++) {
    const fitted = fitCostModel(profileOf(TRUTH, () => 1 + 0.1 * (random.next() - 0.5)))
    for (const value of [...Object.values(fitted.decode), ...Object.values(fitted.cell)]) assert.ok(value >= 0, `seed ${seed}`)
    const error = costModelError(fitted, profileOf(TRUTH, () => 1))
    assert.ok(error < 0.05, `seed ${seed}: error ${error}`)
  }
})

test('terms that explain nothing are left out', () => {
  const weights = fitNonNegative([[1, 1, 5], [1, 2, 1], [1, 3, 9], [1, 4, 2]], [10, 20, 30, 40])
  assert.equal(weights[0], 0)
  close(weights[1]!, 10)
  assert.equal(weights[2], 0)
})

test('a slope that would be negative becomes zero', () => {
  const weights = fitNonNegative([[1, 1], [1, 2], [1, 3]], [30, 20, 10])
  assert.equal(weights[1], 0)
  assert.ok(weights[0]! > 0)
})

test('the measured CPU profile (13 M parameters, float32, rows 1..16) is linear within 15 %', () => {
  const rows = [1, 2, 3, 4, 6, 8, 16]
  const measured: readonly (readonly [batch: number, contextTokens: number, ms: readonly number[]])[] = [
    [1, 512, [4.0, 4.3, 4.7, 4.6, 5.2, 6.2, 9.1]],
    [4, 544, [5.6, 6.7, 8.0, 9.5, 12.7, 16.0, 28.6]],
    [16, 544, [11.2, 18.3, 24.6, 30.8, 45.9, 59.5, 117.5]],
  ]
  const points = measured.flatMap(([batch, contextTokens, times]) =>
    times.map((ms, i): CostPoint => {
      const nodes = rows[i]! - 1
      return nodes === 0 ? { kind: 'decode', batch, contextTokens, ms } : { kind: 'verify', batch, nodes, contextTokens, ms }
    }))
  const model = fitCostModel(points)
  assert.ok(costModelError(model, points) < 0.15, `error ${costModelError(model, points)}`)
})

test('a profile without cells, or with only cells, still predicts both', () => {
  const decodeOnly = fitCostModel([{ kind: 'decode', batch: 1, contextTokens: 64, ms: 4 }, { kind: 'decode', batch: 16, contextTokens: 64, ms: 11 }])
  assert.ok(predictCellMs(decodeOnly, { cellTokens: 128, contextTokens: 0 }) > 11)
  const [plainMs, verifyMs] = [0, 4].map((nodes) => predictDecodeMs(decodeOnly, { batch: 4, contextTokensSum: 256, nodes }))
  assert.ok(verifyMs! > plainMs!, 'a node costs as a sequence does until verifies were measured')
  const cellOnly = fitCostModel([{ kind: 'cell', cellTokens: 128, contextTokens: 0, ms: 40 }])
  assert.ok(predictDecodeMs(cellOnly, { batch: 4, contextTokensSum: 256, nodes: 0 }) > 0)
  assert.throws(() => fitCostModel([]), RangeError)
  assert.throws(() => fitCostModel([{ kind: 'decode', batch: 1, contextTokens: 1, ms: 0 }]), RangeError)
})

test('residuals pull predictions to what is measured; one outlier does not', () => {
  const work = { batch: 4, contextTokensSum: 1024, nodes: 0 }
  const freshMs = predictDecodeMs(TRUTH, work)
  let model = TRUTH
  for (let step = 0; step < 100; step++) model = correctCostModel(model, predictDecodeMs(model, work), freshMs * 1.5)
  close(predictDecodeMs(model, work), freshMs * 1.5, 0.01)
  const outlier = correctCostModel(TRUTH, freshMs, freshMs * 1000)
  assert.ok(outlier.correctionRatio <= 1.1 + 1e-9)
  for (let step = 0; step < 500; step++) model = correctCostModel(model, 1, 1e9)
  assert.equal(model.correctionRatio, 8)
  assert.equal(correctCostModel(model, 0, 5), model)
})
