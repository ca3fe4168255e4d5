import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { LearntCost } from './learnt-cost.ts'
import { RunCost } from './run-cost.ts'

const TERMS = [{ guess: 5, doubt: 3, least: 0.1 }, { guess: 1, doubt: 1, least: 0.01 }]

test('costs follow what is measured, through noise and outliers', () => {
  const seed = testSeed(101)
  const random = seededRandom(seed)
  const cost = new LearntCost(TERMS)
  for (let step = 0; step < 400; step++) {
    const amount = random.int(10)
    const outlier = random.next() < 0.02 ? 10 : 1
    cost.observe(Float64Array.of(1, amount), (8 + 0.4 * amount) * (0.9 + 0.2 * random.next()) * outlier)
  }
  for (const amount of [0, 4, 9]) {
    const ratio = cost.predict(Float64Array.of(1, amount)) / (8 + 0.4 * amount)
    assert.ok(ratio > 0.92 && ratio < 1.12, `seed ${seed}: ${ratio} of the cost of ${amount}`)
  }
})

test('a machine that slows down slows everything: what is not measured meanwhile keeps its place beside the rest', () => {
  const cost = new LearntCost(TERMS)
  const [small, large] = [Float64Array.of(1, 0), Float64Array.of(1, 10)]
  for (let step = 0; step < 200; step++) {
    cost.observe(small, 5)
    cost.observe(large, 15)
  }
  for (let step = 0; step < 500; step++) cost.observe(small, 10)
  const ratio = cost.predict(large) / cost.predict(small)
  assert.ok(Math.abs(cost.predict(small) - 10) < 0.1 && ratio > 2, `${cost.predict(small)}, ${ratio}`)
})

test('nothing costs less than its floor, and measurements of nothing teach nothing', () => {
  const cost = new LearntCost(TERMS)
  cost.observe(Float64Array.of(1, 5), 0)
  cost.observe(Float64Array.of(0, 0), 7)
  assert.equal(cost.predict(Float64Array.of(1, 1)), 6)
  for (let step = 0; step < 500; step++) cost.observe(Float64Array.of(1, step % 10), 5)
  assert.ok(cost.costOf(1) > 0)
})

test('a kind of run that is dearer than its neighbours is known to be', () => {
  const runCost = new RunCost({ decode: { fixedMs: 8, perSequenceMs: 2, perNodeMs: 1, perContextTokenMs: 0 }, cell: { fixedMs: 1, perTokenMs: 1, perPairMs: 0 }, correctionRatio: 1 })
  // Four sequences: one node each takes a jump, three cost little more than one.
  const measured: readonly (readonly [nodes: number, ms: number])[] = [[0, 15], [4, 24], [12, 28], [24, 42]]
  for (let step = 0; step < 300; step++) {
    const [nodes, ms] = measured[step % measured.length]!
    runCost.observe([{ batch: 4, nodes, contextTokensSum: 0 }], ms)
  }
  for (const [nodes, ms] of measured) {
    const predictedMs = runCost.predictMs([{ batch: 4, nodes, contextTokensSum: 0 }])
    assert.ok(Math.abs(predictedMs / ms - 1) < 0.04, `${nodes} nodes: ${predictedMs} for ${ms}`)
  }
})

test('a profile that is wrong about nodes is put right within forty steps, and what plain runs cost is not drawn along', () => {
  const seed = testSeed(102)
  const random = seededRandom(seed)
  const cell = { fixedMs: 1, perTokenMs: 1, perPairMs: 0 }
  // In truth a node costs its floor.
  const runCost = new RunCost({ decode: { fixedMs: 20, perSequenceMs: 0.06, perNodeMs: 1, perContextTokenMs: 0 }, cell, correctionRatio: 1 })
  const truthMs = (nodes: number): number => 20 + 0.06 * (32 + nodes)
  const measure = (nodes: number): void => runCost.observe([{ batch: 32, nodes, contextTokensSum: 0 }], truthMs(nodes) * (0.9 + 0.2 * random.next()))
  for (let step = 0; step < 40; step++) measure(step % 8 === 0 ? 0 : 32 * (1 + random.int(8)))
  for (const nodes of [0, 64, 256]) {
    const ratio = runCost.predictMs([{ batch: 32, nodes, contextTokensSum: 0 }]) / truthMs(nodes)
    assert.ok(Math.abs(ratio - 1) < 0.15, `seed ${seed}: ${nodes} nodes: ${ratio} of the cost`)
  }
})
