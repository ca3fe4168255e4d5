import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomStream } from '@rubato/sim'
import { testSeed } from '@rubato/testing'
import { drawArrivalsMs, drawGamma, scaleArrivalsMs } from './arrivals.ts'

const SEED = testSeed(7)
const gapsOf = (arrivals: readonly number[]): number[] => arrivals.map((arrival, index) => arrival - (arrivals[index - 1] ?? 0))

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length }
}

test('gamma draws have mean and variance equal to the shape', () => {
  for (const shape of [0.3, 1, 4.5]) {
    const random = randomStream(SEED, `gamma/${shape}`)
    const values = Array.from({ length: 40_000 }, () => drawGamma(random, shape))
    const { mean, variance } = moments(values)
    assert.ok(values.every((value) => value >= 0))
    assert.ok(Math.abs(mean / shape - 1) < 0.05, `seed ${SEED}, shape ${shape}: mean ${mean}`)
    assert.ok(Math.abs(variance / shape - 1) < 0.12, `seed ${SEED}, shape ${shape}: variance ${variance}`)
  }
})

test('burstiness 1 gives Poisson gaps, lower is burstier, infinite is even', () => {
  const squaredVariation = (burstiness: number): number => {
    const gaps = gapsOf(drawArrivalsMs(randomStream(SEED, 'arrivals'), 20_000, { requestRatePerSec: 10, burstiness }))
    const { mean, variance } = moments(gaps)
    return variance / mean ** 2
  }
  assert.ok(Math.abs(squaredVariation(1) - 1) < 0.1, `seed ${SEED}: ${squaredVariation(1)}`)
  assert.ok(Math.abs(squaredVariation(0.25) - 4) < 0.8, `seed ${SEED}: ${squaredVariation(0.25)}`)
  assert.ok(squaredVariation(Infinity) < 1e-18)
})

test('arrivals ascend and the last comes at count / rate exactly, whatever the seed', () => {
  for (let seed = SEED; seed < SEED + 20; seed++) {
    const arrivals = drawArrivalsMs(randomStream(seed, 'arrivals'), 50, { requestRatePerSec: 4, burstiness: 0.7 })
    assert.ok(Math.abs((arrivals.at(-1) ?? 0) - 12_500) < 1e-6, `seed ${seed}`)
    assert.ok(gapsOf(arrivals).every((gap) => gap >= 0), `seed ${seed}`)
  }
})

test('the same seed gives the same arrivals, another seed others', () => {
  const draw = (seed: number): number[] => drawArrivalsMs(randomStream(seed, 'arrivals'), 10, { requestRatePerSec: 1, burstiness: 1 })
  assert.deepEqual(draw(1), draw(1))
  assert.notDeepEqual(draw(1), draw(2))
})

test('a trace keeps its shape when it is scaled to a rate', () => {
  assert.deepEqual(scaleArrivalsMs([0, 100, 400, 1000], 2), [0, 200, 800, 2000])
  assert.deepEqual(scaleArrivalsMs([0, 100, 400], null), [0, 100, 400])
  assert.deepEqual(scaleArrivalsMs([0, 0], 5), [0, 0])
})
