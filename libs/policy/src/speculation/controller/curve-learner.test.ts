import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { FRESH_CALIBRATION, conditionalAcceptance } from '../calibration.ts'
import { CalibrationLearner } from './curve-learner.ts'
import type { AcceptanceEvidence } from './curve-learner.ts'

/** A made-up world: acceptance by rank and gap. */
const truth = (rank: number, gap: number): number => 1 / (1 + Math.exp(-(rank === 0 ? -0.8 + 0.9 * gap : -0.4 - 0.7 * rank - 0.3 * gap)))

test('predictions converge to what is accepted, for every rank and range of gaps', () => {
  const seed = testSeed(71)
  const random = seededRandom(seed)
  const draw = (): AcceptanceEvidence => {
    const [rank, gap] = [random.int(4), 4 * random.next()]
    return { rank, gap, accepted: random.next() < truth(rank, gap) }
  }
  const learner = new CalibrationLearner(FRESH_CALIBRATION)
  // Estimates follow the latest evidence and so never come to rest: their mean is what has to be right.
  const sums = new Map<string, number>()
  const numRounds = 200
  for (let round = -20; round < numRounds; round++) {
    for (let step = 0; step < 20; step++) learner.learn([draw(), draw(), draw()])
    for (const rank of [0, 1, 2, 3]) for (const gap of [0.5, 1.5, 3]) if (round >= 0) sums.set(`${rank} ${gap}`, (sums.get(`${rank} ${gap}`) ?? 0) + conditionalAcceptance(learner.calibration, rank, gap) / numRounds)
  }
  for (const [key, predicted] of sums) {
    const [rank, gap] = key.split(' ').map(Number) as [number, number]
    assert.ok(Math.abs(predicted - truth(rank, gap)) < 0.04, `seed ${seed}: rank ${rank}, gap ${gap}: ${predicted} for ${truth(rank, gap)}`)
  }
})

test('a curve follows a text that turns hard within a hundred nodes', () => {
  const seed = testSeed(73)
  const random = seededRandom(seed)
  const learner = new CalibrationLearner(FRESH_CALIBRATION)
  const see = (count: number, ratio: number): void => {
    for (let node = 0; node < count; node++) learner.learn([{ rank: 0, gap: 1 + random.next(), accepted: random.next() < ratio }])
  }
  see(1000, 0.9)
  const before = conditionalAcceptance(learner.calibration, 0, 1.5)
  see(100, 0.3)
  const after = conditionalAcceptance(learner.calibration, 0, 1.5)
  assert.ok(before > 0.85 && after < 0.5, `seed ${seed}: ${before}, then ${after}`)
})

test('acceptance is a probability that never falls with the lead nor rises with the deficit, whatever was seen', () => {
  const seed = testSeed(72)
  const random = seededRandom(seed)
  const learner = new CalibrationLearner(FRESH_CALIBRATION)
  for (let step = 0; step < 500; step++) learner.learn([{ rank: random.int(6), gap: 20 * random.next(), accepted: random.next() < 0.5 }])
  for (let rank = 0; rank < 6; rank++) {
    const ratios = [0, 1, 3, 9, 100].map((gap) => conditionalAcceptance(learner.calibration, rank, gap))
    for (const [index, ratio] of ratios.entries()) {
      assert.ok(ratio >= 0 && ratio <= 1, `seed ${seed}`)
      if (index > 0) assert.ok(rank === 0 ? ratio >= ratios[index - 1]! : ratio <= ratios[index - 1]!, `seed ${seed}: rank ${rank}`)
    }
  }
})

test('no evidence changes nothing', () => {
  const learner = new CalibrationLearner(FRESH_CALIBRATION)
  learner.learn([])
  assert.equal(learner.calibration, FRESH_CALIBRATION)
})
