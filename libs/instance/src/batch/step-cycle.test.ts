// What the engine is asked to do: cells, prefix hits, shared prompts, preemption, recompute.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StepCommand } from '@rubato/model'
import type { StepCostModel } from '@rubato/policy'
import { expectedChoice, firstComeBatching, generateMessage, instanceFixture, SMALL_SHAPE, loadOf } from '@rubato/testing'
import type { InstanceDriver } from '@rubato/testing'
import type { InstanceConfig } from '../instance-config.ts'

type CellView = readonly [start: number, count: number, numSamples: number]

function cellsOf(steps: readonly (StepCommand | null)[]): CellView[] {
  return steps.flatMap((step) => step?.cells ?? []).map(({ start, count, sampleHandles }) => [start, count, sampleHandles.length])
}

test('prompt cells start at multiples of C, in order; only the last one samples', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 8, maxNumBatchedTokens: 16 } })
  driver.deliver(generateMessage('a', { promptLen: 27 }))
  driver.completeStep()
  driver.completeStep()
  assert.deepEqual(driver.steps.map((step) => step.cells.length), [2, 2])
  assert.deepEqual(cellsOf(driver.steps), [[0, 8, 0], [8, 8, 0], [16, 8, 0], [24, 3, 1]])
  assert.equal(driver.choice('a').tokenIds.length, 1)
})

test('the whole prompt is reserved at admission; a decode takes a block only at a border', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 8, maxNumBatchedTokens: 8 } })
  driver.deliver(generateMessage('a', { promptLen: 27 }))
  assert.deepEqual(driver.command?.appendBlocks.map(({ blockIds }) => blockIds.length), [7])
  driver.runToIdle()
  assert.deepEqual(driver.steps.slice(1).flatMap(({ appendBlocks }) => appendBlocks.map(({ blockIds }) => blockIds.length)), [1])
})

test('messages that arrive during a step wait for its end', () => {
  const driver = instanceFixture()
  driver.deliver(generateMessage('a', { promptLen: 4 }))
  const first = driver.command
  driver.deliver(generateMessage('b', { promptLen: 4 }))
  assert.equal(driver.command, first)
  driver.completeStep()
  assert.deepEqual([driver.command?.decodes.length, driver.command?.cells.length], [1, 1])
})

test('a prefix hit is rounded down to cells and never covers the last token', () => {
  const driver = instanceFixture()
  driver.deliver(generateMessage('a', { promptLen: 24 }))
  driver.runToIdle()
  driver.deliver(generateMessage('b', { promptLen: 24 }))
  assert.deepEqual(cellsOf([driver.command]), [[16, 8, 1]])
  assert.equal(driver.command?.appendBlocks[0]?.blockIds.length, 6)
  driver.runToIdle()
  assert.deepEqual(driver.choice('b').tokenIds, driver.choice('a').tokenIds)
  assert.equal(driver.choice('b').finish?.timing.cachedTokens, 16)
  assert.deepEqual([loadOf(driver).prefixQueryTokensTotal, loadOf(driver).prefixHitTokensTotal], [48, 16])
})

test('blocks are shared while their owner still runs, and only once written', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 8, maxNumBatchedTokens: 16 } })
  const long = { sampling: { maxTokens: 40 } }
  driver.deliver(generateMessage('a', { promptLen: 24, ...long }))
  driver.completeStep()
  driver.deliver(generateMessage('b', { promptLen: 24, ...long }))
  assert.deepEqual(cellsOf([driver.command]), [[16, 8, 1]])
  driver.completeStep()
  assert.deepEqual(cellsOf([driver.command]), [[16, 8, 1]], 'b hits the two cells that a has written')
  driver.runToIdle()
  assert.deepEqual(driver.choice('b').tokenIds, driver.choice('a').tokenIds)
})

test('another cache salt and a disabled cache share nothing', () => {
  for (const [options, fixture] of [[{ cacheSalt: 'x' }, {}], [{}, { enablePrefixCache: false }]] as const) {
    const driver = instanceFixture(fixture)
    driver.deliver(generateMessage('a', { promptLen: 24 }))
    driver.runToIdle()
    driver.deliver(generateMessage('b', { promptLen: 24, ...options }))
    assert.equal(driver.command?.cells.length, 3)
  }
})

test('blocks that decode filled are hits for the next turn where replay runs in cells, not where it runs in steps', () => {
  for (const [replay, cachedTokens] of [['cells', 32], ['steps', 16]] as const) {
    const driver = instanceFixture({ shape: { replay } })
    const first = generateMessage('a', { promptLen: 20, sampling: { maxTokens: 16 } })
    driver.deliver(first)
    driver.runToIdle()
    driver.deliver(generateMessage('b', { promptIds: [...first.promptIds, ...driver.choice('a').tokenIds, 77] }))
    driver.runToIdle()
    assert.equal(driver.choice('b').finish?.timing.cachedTokens, cachedTokens, replay)
  }
})

test('choices compute their prompt once, share its full blocks and copy the partial one', () => {
  const driver = instanceFixture()
  const message = generateMessage('a', { promptLen: 10, n: 3 })
  driver.deliver(message)
  const first = driver.completeStep()
  assert.deepEqual(cellsOf([first]), [[0, 8, 0], [8, 2, 3]])
  assert.deepEqual(first.admit.map(({ sequence }) => sequence), [0, 1, 2])
  const second = driver.command!
  const lead = first.appendBlocks[0]!.blockIds
  assert.equal(second.copyBlocks.length, 2)
  assert.deepEqual(new Set(second.copyBlocks.map(({ from }) => from)), new Set([lead[2]]))
  for (const { blockIds } of second.appendBlocks) assert.deepEqual(blockIds.slice(0, 2), lead.slice(0, 2))
  assert.equal(loadOf(driver).totalBlocks - loadOf(driver).freeBlocks - loadOf(driver).cachedBlocks, 3 + 2)
  driver.runToIdle()
  for (const index of [0, 1, 2]) assert.deepEqual(driver.choice('a', index).tokenIds, expectedChoice(message, index, SMALL_SHAPE))
})

test('choices start from a lead that ended with its first token', () => {
  const message = generateMessage('a', { promptLen: 10, n: 2 })
  const stopTokenIds = [expectedChoice(message, 0, SMALL_SHAPE)[0]!]
  const driver = instanceFixture()
  driver.deliver({ ...message, sampling: { ...message.sampling, stopTokenIds } })
  driver.runToIdle()
  assert.deepEqual(driver.choice('a', 0).finish?.reason, 'stop')
  assert.deepEqual(driver.choice('a', 0).finish?.stopTokenId, stopTokenIds[0])
  assert.deepEqual(driver.choice('a', 1).tokenIds, expectedChoice(message, 1, SMALL_SHAPE))
})

test('a lead that is aborted during the prompt runs it for the others and says nothing', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 8, maxNumBatchedTokens: 8 } })
  const message = generateMessage('a', { promptLen: 18, n: 2 })
  driver.deliver(message)
  driver.completeStep()
  driver.deliver({ kind: 'abort', requestId: 'a', epoch: message.epoch, sequence: 0 })
  driver.runToIdle()
  assert.deepEqual(driver.choice('a', 0).tokenIds, [])
  assert.deepEqual(driver.choice('a', 1).tokenIds, expectedChoice(message, 1, SMALL_SHAPE))
  assert.equal(driver.engine.numLive, 0)
})

test('all choices are admitted together or not at all', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 3, maxNumBatchedTokens: 32 } })
  driver.deliver(generateMessage('a', { n: 2, sampling: { maxTokens: 4 } }))
  driver.deliver(generateMessage('b', { n: 2, sampling: { maxTokens: 4 } }))
  driver.completeStep()
  assert.deepEqual([loadOf(driver).numRunning, loadOf(driver).numWaiting], [2, 1])
  driver.runToIdle()
  assert.equal(driver.choice('b', 1).finish?.reason, 'length')
})

/** Two requests of 8 prompt tokens in 8 blocks: both fit at first, not to their ends. */
function crowded(replay: 'cells' | 'steps', priorities: readonly [number, number]): InstanceDriver {
  const driver = instanceFixture({ shape: { numBlocks: 8, replay } })
  const prompts = [1, 50].map((first) => Array.from({ length: 8 }, (_, place) => first + place))
  priorities.forEach((priority, place) => driver.deliver(generateMessage('ab'[place]!, { promptIds: prompts[place]!, priority, sampling: { maxTokens: 20 } })))
  return driver
}

for (const replay of ['cells', 'steps'] as const) {
  test(`the youngest is preempted and recomputed by ${replay}, with the same tokens`, () => {
    const driver = crowded(replay, [0, 0])
    driver.runToIdle()
    const shape = { ...SMALL_SHAPE, numBlocks: 8, replay }
    assert.deepEqual(['a', 'b'].map((name) => driver.choice(name).finish?.timing.preemptions), [0, 1])
    for (const [name, first] of [['a', 1], ['b', 50]] as const) {
      const message = generateMessage(name, { promptIds: Array.from({ length: 8 }, (_, place) => first + place), sampling: { maxTokens: 20 } })
      assert.deepEqual(driver.choice(name).tokenIds, expectedChoice(message, 0, shape))
      assert.equal(driver.choice(name).numRepeated, 0)
    }
    const again = driver.steps.flatMap(({ admit }) => admit).at(-1)!
    const numEmitted = again.emittedIds.length
    const handled = driver.steps.filter(({ cells, decodes }) => [...cells, ...decodes].some(({ handle }) => handle === again.handle))
    const cells = handled.flatMap((step) => step.cells).filter(({ handle }) => handle === again.handle)
    const numForced = handled.flatMap((step) => step.decodes).filter(({ handle, forced }) => forced && handle === again.handle).length
    const replayed = cells.filter(({ start }) => start >= 8)
    assert.ok(numEmitted > 1)
    assert.ok(cells.every(({ sampleHandles }) => sampleHandles.length === 0))
    assert.equal(replayed.reduce((sum, { count }) => sum + count, 0), replay === 'cells' ? numEmitted - 1 : 0)
    assert.equal(numForced, replay === 'steps' ? numEmitted - 1 : 0)
  })
}

test('the lowest priority is preempted even when it came first', () => {
  const driver = crowded('cells', [1, 0])
  driver.runToIdle()
  assert.deepEqual(['a', 'b'].map((name) => driver.choice(name).finish?.timing.preemptions), [1, 0])
  assert.equal(loadOf(driver).preemptionsTotal, 1)
})

test('a freed block is not given out before the step that releases it has ended', () => {
  const driver = crowded('cells', [0, 0])
  const held = new Map<number, readonly number[]>()
  for (let guard = 0; driver.command !== null && guard < 500; guard++) {
    const step = driver.command
    const releasing = new Set(step.release.flatMap((handle) => held.get(handle) ?? []))
    for (const { handle, blockIds } of step.appendBlocks) {
      held.set(handle, [...(held.get(handle) ?? []), ...blockIds])
      assert.ok(blockIds.every((blockId) => !releasing.has(blockId)))
    }
    for (const handle of step.release) held.delete(handle)
    driver.completeStep()
  }
  assert.equal(held.size, 0)
})

test('a recovered request goes before those that wait', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 1, maxNumBatchedTokens: 32 } })
  for (const name of ['a', 'b']) driver.deliver(generateMessage(name))
  const message = generateMessage('c')
  const known = expectedChoice(message, 0, SMALL_SHAPE).slice(0, 3)
  driver.choice('c', 0, known)
  driver.deliver({ ...message, emittedIds: [known], recovered: true, priority: 5 })
  driver.runToIdle()
  assert.deepEqual(driver.steps.flatMap(({ admit }) => admit.map(({ handle }) => handle)), [1, 3, 2])
  assert.deepEqual(driver.choice('c').tokenIds, expectedChoice(message, 0, SMALL_SHAPE))
})

test('queueing and prefill are timed from arrival to admission to the first token', () => {
  const driver = instanceFixture({ limits: { maxNumSeqs: 1, maxNumBatchedTokens: 8 } })
  driver.deliver(generateMessage('a', { sampling: { maxTokens: 3 } }))
  driver.deliver(generateMessage('b', { promptLen: 17, sampling: { maxTokens: 3 }, cacheSalt: 'b' }))
  while (driver.command !== null) driver.completeStep(10)
  const { queueMs, prefillMs } = driver.choice('b').finish!.timing
  assert.equal(queueMs, 40)
  assert.equal(prefillMs, 30)
})

test('measured step times correct what the policy predicts with', () => {
  const ratios: number[] = []
  const batching: InstanceConfig['batching'] = (snapshot) => {
    ratios.push(snapshot.correctionRatio)
    return firstComeBatching(snapshot)
  }
  // The memory engine's steps report 1 ms; the model predicts half of that for decodes and cells alike.
  const costModel: StepCostModel = {
    decode: { fixedMs: 0.5, perSequenceMs: 0, perNodeMs: 0, perContextTokenMs: 0 }, cell: { fixedMs: 0.5, perTokenMs: 0, perPairMs: 0 }, correctionRatio: 1,
  }
  const driver = instanceFixture({ batching, costModel })
  driver.deliver(generateMessage('a', { promptLen: 4, sampling: { maxTokens: 150 } }))
  driver.runToIdle()
  assert.equal(ratios[0], 1)
  assert.ok(Math.abs(ratios.at(-1)! - 2) < 0.05, `${ratios.at(-1)}`)
})

test('a policy that wants cells only cannot stall decodes when the cells find no room', () => {
  const batching: InstanceConfig['batching'] = (snapshot) => ({ ...firstComeBatching(snapshot), runDecodes: snapshot.prefills.length === 0, cells: [] })
  const driver = instanceFixture({ batching: (snapshot) => (snapshot.decodes.length === 0 ? firstComeBatching(snapshot) : batching(snapshot)) })
  driver.deliver(generateMessage('a', { promptLen: 4, sampling: { maxTokens: 5 } }))
  driver.completeStep()
  driver.deliver(generateMessage('b', { promptLen: 4, sampling: { maxTokens: 5 } }))
  driver.runToIdle()
  assert.equal(driver.choice('a').tokenIds.length, 5)
  assert.equal(driver.choice('b').tokenIds.length, 5)
})
