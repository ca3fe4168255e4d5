import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedTokensByNodes } from './controller/tree-forecast.ts'
import { goodputLength } from './goodput.ts'

/** Tokens of a chain whose drafts are each accepted with this probability once all before it were, the target's own included: SmartSpec §4.1. */
function expectedTokensOfChain(acceptanceRatio: number, length: number): number {
  return acceptanceRatio >= 1 ? length + 1 : (1 - acceptanceRatio ** (length + 1)) / (1 - acceptanceRatio)
}

test('worked example: what a chain brings', () => {
  const rounded = (alpha: number, length: number): number => Number(expectedTokensByNodes(length, 1, () => alpha).at(-1)!.toFixed(3))
  assert.deepEqual([rounded(0.7, 3), rounded(0.7, 5), rounded(0.8, 4), rounded(0.9, 7), rounded(0.3, 0), rounded(1, 4)], [2.533, 2.941, 3.362, 5.695, 1, 5])
  for (const [alpha, length] of [[0.7, 3], [0.3, 8], [1, 2]] as const) assert.ok(Math.abs(expectedTokensOfChain(alpha, length) - expectedTokensByNodes(length, 1, () => alpha).at(-1)!) < 1e-12)
})

/** The prototype's fit of Llama-3.1-70B on four H100: milliseconds of one pass over n sequences of 1,024 tokens of context. */
function passMs(numSequences: number, length: number): number {
  const plainMs = 6.24e-5 * numSequences * 1024 + 6.4e-2 * numSequences * (length + 1) - 3.97e-2 * numSequences + 18.35
  return length === 0 ? plainMs : 1.09 * (plainMs - 0.112)
}

test('golden table: the best length falls with load and rises with acceptance, and is 0 where speculation does not pay', () => {
  const golden: readonly (readonly [alpha: number, cells: readonly (readonly [n: number, length: number, speedup: number])[]])[] = [
    [0.5, [[1, 7, 1.79], [8, 4, 1.61], [32, 2, 1.35], [64, 2, 1.2], [128, 1, 1.08], [256, 0, 1]]],
    [0.7, [[1, 8, 2.87], [8, 7, 2.44], [32, 4, 1.84], [64, 3, 1.54], [128, 2, 1.3], [256, 2, 1.12]]],
    [0.9, [[1, 8, 5.5], [8, 8, 4.65], [32, 8, 3.18], [64, 7, 2.38], [128, 5, 1.81], [256, 4, 1.45]]],
  ]
  for (const [alpha, cells] of golden) {
    for (const [numSequences, length, speedup] of cells) {
      const question = { numSequences, numDrafting: numSequences, maxLength: 8, expectedTokens: (k: number) => expectedTokensOfChain(alpha, k), stepMs: (k: number) => passMs(numSequences, k) }
      const answer = goodputLength(question)
      const plain = (numSequences / passMs(numSequences, 0)) * 1000
      const label = `acceptance ${alpha}, ${numSequences} sequences`
      assert.equal(answer.length, length, label)
      assert.ok(Math.abs(answer.stepGoodput / plain - speedup) < 0.011, `${label}: ${answer.stepGoodput / plain}`)
    }
  }
})

test('a switch that gains less than the bias asks is not made', () => {
  const question = { numSequences: 1, numDrafting: 1, maxLength: 1, expectedTokens: () => 1.05, stepMs: () => 10 }
  assert.equal(goodputLength(question).length, 1)
  assert.equal(goodputLength({ ...question, plainBias: 1.1 }).length, 0)
})

test('sequences without drafts emit one token whatever the length', () => {
  const question = { numSequences: 4, numDrafting: 1, maxLength: 3, expectedTokens: (k: number) => 1 + k, stepMs: (k: number) => 10 + k }
  const { length, stepGoodput } = goodputLength(question)
  assert.equal(length, 3)
  assert.equal(stepGoodput, (7 / 13) * 1000)
})
