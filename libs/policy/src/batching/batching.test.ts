import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { predictCellMs, predictDecodeMs } from '../cost-model/model.ts'
import type { StepCostModel } from '../cost-model/model.ts'
import { BATCHING_POLICY_NAMES, batchingPolicy } from './policies.ts'
import { isSpacedTurn } from './sarathi.ts'
import type { BatchingPolicy, BatchingSnapshot, BatchPlan, DecodeDemand, PrefillDemand } from './snapshot.ts'

/** Plain numbers: a decode run costs 2 ms + 1 ms per sequence, a cell 0.1 ms per token. */
const COSTS: StepCostModel = {
  decode: { fixedMs: 2, perSequenceMs: 1, perNodeMs: 1, perContextTokenMs: 0 },
  cell: { fixedMs: 0, perTokenMs: 0.1, perPairMs: 0 },
  correctionRatio: 1,
}
const CELL = 128

function policy(name: string): BatchingPolicy {
  return batchingPolicy(name, { costModel: COSTS, safetyRatio: 1 })
}

function decodes(count: number, tpotMs: number | null, contextTokens = 100): DecodeDemand[] {
  return Array.from({ length: count }, (_, i) => ({ handle: 1000 + i, contextTokens: contextTokens + i, tpotMs }))
}

function prefill(handle: number, promptTokens: number, rest: Partial<PrefillDemand> = {}): PrefillDemand {
  const cellTokens = Array.from({ length: Math.ceil(promptTokens / CELL) }, (_, i) => Math.min(CELL, promptTokens - i * CELL))
  return { handle, cellTokens, contextTokens: 0, admitted: false, ttftSlackMs: null, ...rest }
}

function snapshot(rest: Partial<BatchingSnapshot>): BatchingSnapshot {
  return { decodes: [], prefills: [], freeSequenceSlots: 16, maxBatchedTokens: 2048, correctionRatio: 1, ...rest }
}

function grantedTokens(given: BatchingSnapshot, plan: BatchPlan): number {
  return plan.cells.reduce((sum, { handle, numCells }) => {
    const demand = given.prefills.find((one) => one.handle === handle)
    assert.ok(demand !== undefined && numCells >= 1 && numCells <= demand.cellTokens.length)
    return sum + demand.cellTokens.slice(0, numCells).reduce((a, b) => a + b, 0)
  }, 0)
}

test('sarathi: the tightest TPOT target decides how many cells run', () => {
  // 8 decodes take 10 ms; a cell 12.8 ms; 50 ms leave room for three cells (48.4 ms), not four.
  const given = snapshot({ decodes: [...decodes(7, 200), ...decodes(1, 50)], prefills: [prefill(1, 1000)] })
  assert.deepEqual(policy('sarathi')(given), { runDecodes: true, cells: [{ handle: 1, numCells: 3 }], budgetTokens: 8 + 3 * CELL })
})

test('sarathi: started prefills go first, then waiting ones in order, up to the sequence slots', () => {
  const prefills = [prefill(1, 128), prefill(2, 128), prefill(3, 256, { admitted: true, contextTokens: 128 }), prefill(4, 128)]
  const plan = policy('sarathi')(snapshot({ prefills, freeSequenceSlots: 2 }))
  assert.deepEqual(plan.cells, [{ handle: 3, numCells: 2 }, { handle: 1, numCells: 1 }, { handle: 2, numCells: 1 }])
})

test('sarathi: without decodes prompts fill the step up to --max-num-batched-tokens', () => {
  const plan = policy('sarathi')(snapshot({ prefills: [prefill(1, 300), prefill(2, 1000)], maxBatchedTokens: 512 }))
  assert.deepEqual(plan, { runDecodes: false, cells: [{ handle: 1, numCells: 3 }, { handle: 2, numCells: 1 }], budgetTokens: 512 })
  const tiny = policy('sarathi')(snapshot({ prefills: [prefill(1, 300)], maxBatchedTokens: 64 }))
  assert.deepEqual(tiny.cells, [{ handle: 1, numCells: 1 }])
})

test('sarathi: without targets the default gap bounds the cells, but one always runs', () => {
  // 2 decodes take 4 ms, so the default gap is 16 ms: one cell of 12.8 ms would exceed it and runs all the same.
  const few = policy('sarathi')(snapshot({ decodes: decodes(2, null), prefills: [prefill(1, 1000)] }))
  assert.deepEqual(few.cells, [{ handle: 1, numCells: 1 }])
  // 14 decodes take 16 ms, the gap is 64 ms: three cells.
  const many = policy('sarathi')(snapshot({ decodes: decodes(14, null), prefills: [prefill(1, 1000)] }))
  assert.deepEqual(many.cells, [{ handle: 1, numCells: 3 }])
})

test('sarathi: where one cell breaks the target, cells are spaced so that the mean keeps it', () => {
  // 8 decodes take 10 ms, the target is 14 ms, a cell 12.8 ms: the spare 4 ms pay for a cell in four steps.
  const decide = policy('sarathi')
  let numCells = 0
  let totalMs = 0
  const numSteps = 1000
  for (let step = 0; step < numSteps; step++) {
    const plan = decide(snapshot({ decodes: decodes(8, 14, 100 + step), prefills: [prefill(1, 10_000)] }))
    const ran = plan.cells[0]?.numCells ?? 0
    assert.ok(ran <= 1)
    numCells += ran
    totalMs += 10 + ran * 12.8
  }
  assert.ok(numCells >= numSteps / 4 - 2, `${numCells} cells`)
  assert.ok(totalMs / numSteps <= 14, `mean ${totalMs / numSteps} ms`)
})

test('sarathi: a spaced turn comes whatever the stride of the context', () => {
  for (let stride = 1; stride <= 9; stride++) {
    for (const spacing of [2, 4, 16]) {
      const hits = Array.from({ length: 2000 }, (_, i) => isSpacedTurn(50 + i * stride, spacing)).filter(Boolean).length
      assert.ok(Math.abs(hits / 2000 - 1 / spacing) < 0.02, `stride ${stride}, spacing ${spacing}: ${hits}`)
    }
  }
})

test('sarathi: a first-token target about to be missed gets its cell at once, a missed one waits its turn', () => {
  const contextTokens = Array.from({ length: 100 }, (_, i) => i).find((tokens) => !isSpacedTurn(tokens, 4))
  assert.ok(contextTokens !== undefined)
  const decide = (ttftSlackMs: number | null) =>
    policy('sarathi')(snapshot({ decodes: decodes(8, 14, contextTokens), prefills: [prefill(1, 256, { ttftSlackMs })] })).cells
  // Two cells and two decode steps: 45.6 ms.
  assert.deepEqual(decide(50), [{ handle: 1, numCells: 1 }])
  assert.deepEqual(decide(500), [])
  assert.deepEqual(decide(-1), [])
  assert.deepEqual(decide(null), [])
})

test('prefill-first: prompts run alone and whole; decodes wait', () => {
  const prefills = [prefill(1, 300), prefill(2, 200), prefill(3, 100)]
  const plan = policy('prefill-first')(snapshot({ decodes: decodes(8, 14), prefills, maxBatchedTokens: 512 }))
  assert.deepEqual(plan, { runDecodes: false, cells: [{ handle: 1, numCells: 3 }, { handle: 2, numCells: 2 }], budgetTokens: 512 })
})

test('prefill-first: decodes run when no prompt can', () => {
  const decodeOnly = policy('prefill-first')(snapshot({ decodes: decodes(3, null), prefills: [prefill(1, 100)], freeSequenceSlots: 0 }))
  assert.deepEqual(decodeOnly, { runDecodes: true, cells: [], budgetTokens: 2048 })
})

test('orca: all decodes and full prompts share the step', () => {
  const prefills = [prefill(1, 300), prefill(2, 200), prefill(3, 100)]
  const plan = policy('orca')(snapshot({ decodes: decodes(8, 14), prefills, maxBatchedTokens: 512 }))
  assert.deepEqual(plan, { runDecodes: true, cells: [{ handle: 1, numCells: 3 }, { handle: 2, numCells: 2 }], budgetTokens: 512 })
  const tooLong = policy('orca')(snapshot({ decodes: decodes(20, 14), prefills, maxBatchedTokens: 512 }))
  assert.deepEqual(tooLong.cells, [{ handle: 1, numCells: 3 }])
})

test('a machine that runs slower than profiled gets fewer cells beside its decodes', () => {
  // 4 decodes: 6 ms; a cell: 12.8 ms. 60 ms hold four cells as profiled, and one when everything takes twice as long.
  const given = { decodes: decodes(4, 60), prefills: [prefill(1, 1024)] }
  const cellsAt = (correctionRatio: number): number => grantedTokens(snapshot({ ...given, correctionRatio }), policy('sarathi')(snapshot({ ...given, correctionRatio }))) / CELL
  assert.equal(cellsAt(1), 4)
  assert.equal(cellsAt(2), 1)
})

test('an unknown name is refused with the known ones', () => {
  assert.throws(() => batchingPolicy('fifo', { costModel: COSTS }), /'fifo'.*sarathi, prefill-first, orca/)
})

function randomSnapshot(random: SeededRandom): BatchingSnapshot {
  const cellTokens = 32
  return {
    decodes: Array.from({ length: random.int(20) }, (_, i) => ({
      handle: 1000 + i, contextTokens: 1 + random.int(2000), tpotMs: random.int(2) === 0 ? null : 1 + random.int(100),
    })),
    prefills: Array.from({ length: random.int(6) }, (_, i) => ({
      handle: i,
      cellTokens: [...Array.from({ length: random.int(6) }, () => cellTokens), 1 + random.int(cellTokens)],
      contextTokens: cellTokens * random.int(10),
      admitted: random.int(2) === 0,
      ttftSlackMs: random.int(2) === 0 ? null : random.int(500) - 100,
    })),
    freeSequenceSlots: random.int(4),
    maxBatchedTokens: random.pick([16, 64, 128, 512]),
    correctionRatio: random.pick([0.5, 1, 3]),
  }
}

test('every policy keeps its budget, the cap and the slots; grants are legal and in order of service', () => {
  const seed = testSeed(21)
  const random = seededRandom(seed)
  for (let round = 0; round < 2000; round++) {
    const given = randomSnapshot(random)
    for (const name of BATCHING_POLICY_NAMES) {
      const plan = policy(name)(given)
      const where = `seed ${seed}, round ${round}, ${name}`
      const numDecodes = plan.runDecodes ? given.decodes.length : 0
      const tokens = numDecodes + grantedTokens(given, plan)
      const isLoneCell = numDecodes === 0 && plan.cells.length === 1 && plan.cells[0]?.numCells === 1
      assert.ok(tokens <= plan.budgetTokens || isLoneCell, `${where}: ${tokens} of ${plan.budgetTokens}`)
      assert.ok(plan.budgetTokens <= Math.max(given.maxBatchedTokens, given.decodes.length), where)
      const waiting = plan.cells.filter(({ handle }) => given.prefills.some((one) => one.handle === handle && !one.admitted))
      assert.ok(waiting.length <= given.freeSequenceSlots, where)
      const mayStandStill = name === 'prefill-first' || (name === 'tempo' && plan.cells.length > 0)
      if (!mayStandStill) assert.equal(plan.runDecodes, given.decodes.length > 0, where)
      assert.equal(new Set(plan.cells.map(({ handle }) => handle)).size, plan.cells.length, where)
      const started = plan.cells.map(({ handle }) => given.prefills.find((one) => one.handle === handle)?.admitted)
      assert.ok(!started.includes(false) || started.lastIndexOf(true) < started.indexOf(false), where)
    }
  }
})

test('sarathi: a step with decodes keeps the tightest target unless it carries a single cell', () => {
  const seed = testSeed(22)
  const random = seededRandom(seed)
  for (let round = 0; round < 2000; round++) {
    const given = randomSnapshot(random)
    const targets = given.decodes.flatMap(({ tpotMs }) => (tpotMs === null ? [] : [tpotMs]))
    const plan = policy('sarathi')(given)
    const numCells = plan.cells.reduce((sum, cell) => sum + cell.numCells, 0)
    if (targets.length === 0 || numCells <= 1) continue
    const costs = { ...COSTS, correctionRatio: given.correctionRatio }
    let stepMs = predictDecodeMs(costs, { batch: given.decodes.length, contextTokensSum: 0, nodes: 0 })
    stepMs += predictCellMs(costs, { cellTokens: grantedTokens(given, plan), contextTokens: 0 })
    assert.ok(stepMs <= Math.min(...targets) + 1e-9, `seed ${seed}, round ${round}: ${stepMs} ms of ${Math.min(...targets)}`)
  }
})

test('every prompt progresses to its end under every policy, with decodes that never stop coming', () => {
  for (const name of BATCHING_POLICY_NAMES) {
    const decide = policy(name)
    let prefills = [prefill(1, 700, { admitted: true }), prefill(2, 5000), prefill(3, 64)]
    for (let step = 0; prefills.length > 0; step++) {
      assert.ok(step < 3000, `${name}: stuck at ${JSON.stringify(prefills)}`)
      const plan = decide(snapshot({ decodes: decodes(8, 11, 100 + step), prefills, maxBatchedTokens: 1024 }))
      for (const { handle, numCells } of plan.cells) {
        prefills = prefills.map((one) => (one.handle === handle
          ? { ...one, admitted: true, cellTokens: one.cellTokens.slice(numCells), contextTokens: one.contextTokens + numCells * CELL } : one))
      }
      prefills = prefills.filter(({ cellTokens }) => cellTokens.length > 0)
    }
  }
})
