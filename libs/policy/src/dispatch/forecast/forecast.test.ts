import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { predictCellMs } from '../../cost-model/model.ts'
import { CPU_MODEL, instanceOf, requestOf } from '../fixtures/cluster.ts'
import type { DispatchInstance } from '../snapshot.ts'
import { fallbackModel } from './cost-models.ts'
import { forecastInstance } from './instance-forecast.ts'
import { pairOption } from './options.ts'
import { predictPromptMs } from './prompt-time.ts'
import { predictTransferMs } from './transfer-time.ts'

function close(actual: number, expected: number, message = `${actual} is not ${expected}`): void {
  assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.abs(expected), message)
}

test('the closed form of a prompt is the sum of its cells', () => {
  const seed = testSeed(1)
  const random = seededRandom(seed)
  for (let round = 0; round < 200; round += 1) {
    const cellTokens = 1 + random.int(200)
    const hitTokens = random.int(5) * cellTokens
    const endTokens = hitTokens + 1 + random.int(2_000)
    let expectedMs = 0
    for (let at = hitTokens; at < endTokens; at += cellTokens) expectedMs += predictCellMs(CPU_MODEL, { cellTokens: Math.min(cellTokens, endTokens - at), contextTokens: at })
    close(predictPromptMs(CPU_MODEL, { hitTokens, endTokens, cellTokens }), expectedMs, `seed ${seed} round ${round}`)
  }
})

test('an idle instance: prompt compute, then plain decode steps', () => {
  const forecast = forecastInstance(requestOf(), instanceOf('a'), CPU_MODEL, 'both')
  // Four cells of 128: 4 * 2 + 0.3 * 512 + 0.00005 * 131,328 pairs.
  close(forecast.ttftMs, 168.1664)
  // 3 + 0.4 + 0.0004 * (512 + 64): half of the 128 tokens on average.
  close(forecast.tpotMs, 3.6304)
  assert.equal(forecast.bothHarm, 0)
})

test('prefix hits save whole cells, but never the last token', () => {
  const ttftMs = (hitTokens: number): number => forecastInstance(requestOf(), instanceOf('a', { hitTokens }), CPU_MODEL, 'both').ttftMs
  assert.equal(ttftMs(300), ttftMs(256))
  assert.ok(ttftMs(256) < ttftMs(255))
  assert.equal(ttftMs(512), ttftMs(384))
})

test('pending prompts wait in front, and decodes share steps with cells', () => {
  const busy = forecastInstance(requestOf(), instanceOf('a', { pendingPrefillTokens: 512, numSequences: 10, contextTokens: 5_000 }), CPU_MODEL, 'both')
  // 512 pending tokens as four cells behind 192 tokens on average: 4 * (2 + 38.4 + 0.00005 * (128 * 192 + 8,256)) = 168.1664.
  // A decode step of 3 + 4 + 2 = 9 ms: steps may take 36 ms, a cell takes 42.0416 ms, so that each of eight cells has its own step.
  close(busy.ttftMs, 168.1664 * 2 + 8 * 9)
  const alone = forecastInstance(requestOf(), instanceOf('a', { pendingPrefillTokens: 512, numSequences: 10, contextTokens: 5_000 }), CPU_MODEL, 'prompt')
  close(alone.ttftMs, 168.1664 * 2)
  // 3 + 0.4 * 11 + 0.0004 * (5,000 + 512 + 576) and 168.1664 ms of cells over 128 tokens.
  close(busy.tpotMs, 9.8352 + 168.1664 / 128)
})

test('a target spaces the cells out, which the first token pays for', () => {
  const busy = instanceOf('a', { numSequences: 10, contextTokens: 5_000 })
  // Steps of 9 ms may take 18 ms: 168.1664 ms of cells at 9 ms per step are 18.68 steps.
  close(forecastInstance(requestOf({ tpotMs: 20 }), busy, CPU_MODEL, 'both').ttftMs, 168.1664 + 168.1664)
  // Without room, one cell in 16 steps: four cells wait for 64 steps.
  close(forecastInstance(requestOf({ tpotMs: 9 }), busy, CPU_MODEL, 'both').ttftMs, 168.1664 + 64 * 9)
})

test('on an instance for prompts a sequence that stays shares every step with a cell', () => {
  // 3.6304 ms and a cell behind 192 tokens: 2 + 38.4 + 1.6416 ms.
  close(forecastInstance(requestOf(), instanceOf('p'), CPU_MODEL, 'prompt').tpotMs, 3.6304 + 42.0416)
})

test('a target of the request bounds what cells add to its gaps', () => {
  const pending = instanceOf('a', { pendingPrefillTokens: 20_000, numSequences: 2, contextTokens: 1_000 })
  assert.ok(forecastInstance(requestOf({ tpotMs: null }), pending, CPU_MODEL, 'both').tpotMs > 40)
  close(forecastInstance(requestOf({ tpotMs: 20 }), pending, CPU_MODEL, 'both').tpotMs, 18)
})

test('harm is what a request adds to the overshoot of those that decode there', () => {
  const crowded = instanceOf('a', { numSequences: 40, contextTokens: 20_000 })
  // 3 + 16 + 8 = 27 ms before; 3 + 16.4 + 0.0004 * 20,576 = 27.6304 ms with it. Of 20 ms that is 0.35 and 0.38152 too much, times 40.
  close(forecastInstance(requestOf({ tpotMs: 20 }), crowded, CPU_MODEL, 'both').decodeHarm, 40 * (0.38152 - 0.35) , 'harm')
  assert.equal(forecastInstance(requestOf({ tpotMs: 40 }), crowded, CPU_MODEL, 'both').decodeHarm, 0)
  assert.equal(forecastInstance(requestOf({ tpotMs: 20 }), crowded, CPU_MODEL, 'prompt').promptHarm, 0)
})

test('a transfer shows as its last cell when the link keeps up, else as what compute could not hide', () => {
  const request = requestOf()
  const prefill = forecastInstance(request, instanceOf('p'), CPU_MODEL, 'prompt')
  // 32 blocks of 64 KiB at 200 MB/s: 10.48576 ms in all, 2.62144 ms for the last cell's 8 blocks; 3 ms for the hand-off.
  close(predictTransferMs(request, prefill, instanceOf('d')), 3 + 2.62144)
  // At 10 MB/s 209.7152 ms, of which the first three cells (168.1664 - 43.2704 ms) hide 124.896 ms.
  close(predictTransferMs(request, prefill, instanceOf('d', { pullBytesPerSec: 10e6 })), 3 + 209.7152 - 124.896)
  // Blocks that the receiver holds are not sent: 2 remain of 30.
  close(predictTransferMs(request, prefill, instanceOf('d', { hitTokens: 480 })), 3 + 2 * 0.32768)
  const pair = pairOption(request, prefill, forecastInstance(request, instanceOf('d'), CPU_MODEL, 'both'))
  close(pair.ttftMs, 168.1664)
  close(pair.tpotMs, 3.6304 + 5.62144 / 127)
})

test('an instance without a cost model borrows that of the smallest id; with none at all nothing is measured', () => {
  const other = { ...CPU_MODEL, correctionRatio: 2 }
  const instances = [instanceOf('c', { costModel: null }), instanceOf('b', { costModel: other }), instanceOf('a', { costModel: null }), instanceOf('d')]
  assert.deepEqual(fallbackModel(instances), { model: other, isMeasured: true })
  assert.equal(fallbackModel([instanceOf('a', { costModel: null })]).isMeasured, false)
})

test('what was dispatched since makes no prediction better', () => {
  const seed = testSeed(2)
  const random = seededRandom(seed)
  for (let round = 0; round < 500; round += 1) {
    const request = requestOf({ promptTokens: 1 + random.int(2_000), tpotMs: random.int(2) === 0 ? null : 5 + random.int(60), maxNewTokens: 1 + random.int(400) })
    const instance = instanceOf('a', { pendingPrefillTokens: random.int(4_000), numSequences: random.int(30), contextTokens: random.int(20_000), hitTokens: random.int(500) })
    const home = random.pick(['prompt', 'decode', 'both'] as const)
    const before = forecastInstance(request, instance, CPU_MODEL, home)
    const added: Partial<DispatchInstance> = {
      pendingPrefillTokens: instance.pendingPrefillTokens + random.int(500), numSequences: instance.numSequences + random.int(2), contextTokens: instance.contextTokens + random.int(500),
    }
    const after = forecastInstance(request, { ...instance, ...added }, CPU_MODEL, home)
    assert.ok(after.ttftMs >= before.ttftMs && after.tpotMs >= before.tpotMs - 1e-9, `seed ${seed} round ${round}`)
    for (const harm of [after.promptHarm, after.decodeHarm, after.bothHarm]) assert.ok(harm >= -1e-9, `seed ${seed} round ${round}`)
  }
})
