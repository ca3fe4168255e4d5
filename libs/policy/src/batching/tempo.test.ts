import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { StepCostModel } from '../cost-model/model.ts'
import { batchingPolicy } from './policies.ts'
import type { BatchingSnapshot, DecodeDemand, PrefillDemand } from './snapshot.ts'

/** A decode run costs 2 ms + 1 ms per sequence, a cell 0.1 ms per token. */
const COSTS: StepCostModel = {
  decode: { fixedMs: 2, perSequenceMs: 1, perNodeMs: 1, perContextTokenMs: 0 },
  cell: { fixedMs: 0, perTokenMs: 0.1, perPairMs: 0 },
  correctionRatio: 1,
}
const CELL = 100
const tempo = batchingPolicy('tempo', { costModel: COSTS, safetyRatio: 1 })
const sarathi = batchingPolicy('sarathi', { costModel: COSTS, safetyRatio: 1 })

const decodes = (count: number, rest: Partial<DecodeDemand>): DecodeDemand[] => Array.from({ length: count }, (_, index) => ({ handle: 1000 + index, contextTokens: 100 + index, tpotMs: null, ...rest }))
const prefill = (handle: number, numCells: number, ttftSlackMs: number | null): PrefillDemand => ({ handle, cellTokens: Array.from({ length: numCells }, () => CELL), contextTokens: 0, admitted: false, ttftSlackMs })
const snapshot = (rest: Partial<BatchingSnapshot>): BatchingSnapshot => ({ decodes: [], prefills: [], freeSequenceSlots: 16, maxBatchedTokens: 4096, correctionRatio: 1, ...rest })

// 8 decodes take 10 ms. A prompt of 5 cells takes 50 ms by itself, 100 ms when every cell goes with a decode step.
const EIGHT = { tpotMs: 20, aheadMs: 0 }

test('a prompt that makes its target only by itself gets the step', () => {
  const plan = tempo(snapshot({ decodes: decodes(8, EIGHT), prefills: [prefill(1, 5, 60)] }))
  assert.deepEqual(plan, { runDecodes: false, cells: [{ handle: 1, numCells: 5 }], budgetTokens: 4096 })
})

test('a prompt that has time, is late, would be late even so, or has no target borrows nothing', () => {
  for (const slackMs of [1000, -1, 49, null]) {
    const given = snapshot({ decodes: decodes(8, EIGHT), prefills: [prefill(1, 5, slackMs)] })
    assert.deepEqual(tempo(given), sarathi(given), `${slackMs} ms left`)
  }
})

test('decodes lend what they are ahead by and earn within 8 tokens, and nothing without a target', () => {
  const prefills = [prefill(1, 5, 60)]
  const isBorrowed = (lenders: DecodeDemand[]): boolean => !tempo(snapshot({ decodes: lenders, prefills })).runDecodes
  // At 15 ms each token earns 5 ms: 45 ms with the next one. A cell is 10 ms, so that four fit; 5 ms ahead, all five do.
  assert.deepEqual(tempo(snapshot({ decodes: decodes(8, { tpotMs: 15 }), prefills })).cells, [{ handle: 1, numCells: 4 }])
  assert.deepEqual(tempo(snapshot({ decodes: decodes(8, { tpotMs: 15, aheadMs: 5 }), prefills })).cells, [{ handle: 1, numCells: 5 }])
  assert.equal(isBorrowed(decodes(8, { tpotMs: 15, aheadMs: -40 })), false, 'behind')
  assert.equal(isBorrowed(decodes(8, { tpotMs: 10 })), false, 'just in time')
  assert.equal(isBorrowed([...decodes(7, EIGHT), { handle: 1, contextTokens: 1, tpotMs: null }]), false, 'one without a target')
})

test('prompts before the one in a hurry go with it, those behind do not', () => {
  const plan = tempo(snapshot({ decodes: decodes(8, { ...EIGHT, aheadMs: 1000 }), prefills: [prefill(1, 2, null), prefill(2, 5, 75), prefill(3, 1, 5000)] }))
  assert.deepEqual(plan.cells, [{ handle: 1, numCells: 2 }, { handle: 2, numCells: 5 }])
})

test('without targets on either side it is sarathi', () => {
  const seed = testSeed(31)
  const random = seededRandom(seed)
  for (let round = 0; round < 500; round++) {
    const hasPace = random.next() < 0.5
    const given = snapshot({
      decodes: decodes(random.int(20), hasPace ? { tpotMs: 1 + random.int(60), aheadMs: random.int(400) - 100 } : {}),
      prefills: Array.from({ length: random.int(4) }, (_, index) => prefill(index, 1 + random.int(8), hasPace ? null : random.int(300) - 50)),
    })
    assert.deepEqual(tempo(given), sarathi(given), `seed ${seed}, round ${round}`)
  }
})

test('however many prompts are in a hurry, a decode that goes on has its mean gap within the target', () => {
  const seed = testSeed(32)
  const random = seededRandom(seed)
  for (let round = 0; round < 50; round++) {
    const numDecodes = 1 + random.int(16)
    const decodeMs = 2 + numDecodes
    const tpotMs = decodeMs * (1.1 + 3 * random.next())
    let [nowMs, numTokens, numBorrowed] = [0, 0, 0]
    for (let step = 0; step < 2000; step++) {
      const numCells = 1 + random.int(6)
      const given = snapshot({ decodes: decodes(numDecodes, { tpotMs, aheadMs: tpotMs * numTokens - nowMs }), prefills: [prefill(step, numCells, 10 * numCells * (1 + 0.1 * random.next()))] })
      const plan = tempo(given)
      if (plan.runDecodes) {
        // What sarathi runs beside decodes is its own affair.
        nowMs += decodeMs
        numTokens += 1
      } else {
        numBorrowed += 1
        nowMs += 10 * plan.cells[0]!.numCells
      }
      const debtMs = nowMs - tpotMs * numTokens
      assert.ok(debtMs <= 9 * (tpotMs - decodeMs) + 1e-6, `seed ${seed}, round ${round}: ${debtMs} ms behind`)
    }
    assert.ok(nowMs / numTokens <= tpotMs * 1.01, `seed ${seed}, round ${round}: ${nowMs / numTokens} ms per token`)
    assert.ok(numBorrowed > 10, `seed ${seed}, round ${round}: ${numBorrowed} borrowed`)
  }
})
