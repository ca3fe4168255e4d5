import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSplitwiseProfile } from '../data-files.ts'
import { cell, cellsOf, decodes, together } from '../fixtures/step-works.ts'
import { requireAccelerator, requireModel } from '../open-timer.ts'
import type { StepTimer } from '../step-timer.ts'
import { publishedSplitwiseCurves } from './published-curves.ts'
import { parseSplitwiseProfile } from './splitwise-profile.ts'
import { splitwiseTimer } from './splitwise-timer.ts'

const ROWS = loadSplitwiseProfile()
/** Mean context of the rows that vary the batch: 512 prompt tokens and half of 128. */
const PROFILED_CONTEXT = 576

function timerOf(model: string, accelerator: string, tp = 8): StepTimer {
  return splitwiseTimer({ rows: ROWS, model: requireModel(model), accelerator: requireAccelerator(accelerator), tp })
}

function close(actual: number, expected: number, tolerance: number, label = ''): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${label} ${actual} is not ${expected}`)
}

test('the published curves, worked by hand on a small profile', () => {
  const header = 'model,hardware,prompt_size,batch_size,token_size,peak_power,average_power,prompt_time,token_time,e2e_time,tensor_parallel'
  const row = (prompt: number, batch: number, promptMs: number, tokenMs: number): string => `m,h,${prompt},${batch},128,0,0,${promptMs},${tokenMs},0,8`
  const rows = parseSplitwiseProfile([header, row(128, 1, 10, 40), row(128, 1, 30, 44), row(128, 1, 12, 41), row(256, 1, 20, 42), row(128, 2, 24, 46), ''].join('\n'))
  const curves = publishedSplitwiseCurves(rows, { model: 'm', hardware: 'h', tp: 8 })
  // Medians: 128 tokens 12 and 41 ms; 256 tokens (20 + 24) / 2 = 22 and (42 + 46) / 2 = 44 ms.
  close(curves.promptMs(192), 17, 1e-9)
  close(curves.promptMs(512), 42, 1e-9)
  close(curves.tokenMs(1), 41 - (127 / 128) * 3, 1e-9)
  close(curves.iterationMs(192, 0), 17, 1e-9)
  close(curves.iterationMs(190, 2), 1.1 * 17, 1e-9)
  close(curves.iterationMs(0, 1), curves.tokenMs(1), 0)
  assert.equal(curves.iterationMs(0, 0), 0)
})

test('the published token curve is asked at the number of decodes: almost free of batch', () => {
  const curves = publishedSplitwiseCurves(ROWS, { model: 'bloom-176b', hardware: 'a100-80gb', tp: 8 })
  close(curves.tokenMs(1), 47.5, 0.05)
  close(curves.tokenMs(128), 47.6, 0.05)
  const llama = publishedSplitwiseCurves(ROWS, { model: 'llama2-70b', hardware: 'h100-80gb', tp: 8 })
  close(llama.promptMs(1500), 78 + ((1500 - 1024) / 1024) * (136 - 78), 3)
})

test('decode steps of the profile come out as measured over its real batch axis', () => {
  const measured: readonly (readonly [model: string, accelerator: string, ms: readonly number[]])[] = [
    ['bloom-176b', 'a100-80gb', [48.8, 53.0, 57.3, 65.4, 96.6]], ['bloom-176b', 'h100-80gb', [36.1, 38.1, 40.6, 45.8, 63.8]],
    ['llama2-70b', 'a100-80gb', [44.9, 46.5, 50.4, 53.0, 71.6]], ['llama2-70b', 'h100-80gb', [29.8, 32.5, 34.2, 38.6, 50.2]],
  ]
  for (const [model, accelerator, ms] of measured) {
    const timer = timerOf(model, accelerator)
    for (const [index, batch] of [1, 8, 16, 32, 64].entries()) close(timer.stepMs(decodes(batch, PROFILED_CONTEXT)), ms[index]!, 0.5, `${model} ${accelerator} ${batch}`)
  }
})

test('context costs what reading its KV takes, and one long context what it was measured to take', () => {
  const timer = timerOf('bloom-176b', 'a100-80gb')
  // 32 * 3,520 more tokens of 4,014,080 bytes on eight devices at 80 % of 2,039 GB/s: 34.65 ms.
  close(timer.stepMs(decodes(32, 4096)) - timer.stepMs(decodes(32, PROFILED_CONTEXT)), 34.65, 0.01)
  // Measured with one sequence: 51.3 ms at 8,192, 47.6 at 128.
  close(timer.stepMs(decodes(1, 8256)) - timer.stepMs(decodes(1, 192)), 3.7, 0.5)
})

test('prompts come out as measured, alone or many at once', () => {
  const timer = timerOf('bloom-176b', 'a100-80gb')
  for (const [tokens, ms] of [[128, 79.7], [512, 173.8], [2048, 540.4], [4096, 1348.2], [8192, 3593.2]] as const) close(timer.stepMs(cell(tokens)) / ms, 1, 0.02, `${tokens}`)
  const many = Array.from({ length: 16 }, () => ({ cellTokens: 512, contextTokens: 0 }))
  close(timer.stepMs({ cells: many, decodes: [] }) / 3510.1, 1, 0.02)
  close(timer.stepMs(cell(64)), timer.stepMs(cell(128)), 0.05)
})

test('a cell behind a context pays for its attention, and cells of a prompt cost more than the prompt at once', () => {
  for (const accelerator of ['a100-80gb', 'h100-80gb']) {
    const timer = timerOf('llama2-70b', accelerator)
    assert.ok(timer.stepMs(cell(512, 4096)) > timer.stepMs(cell(512)))
    const splitMs = cellsOf(2048, 512).reduce((sum, work) => sum + timer.stepMs(work), 0)
    assert.ok(splitMs > timer.stepMs(cell(2048)))
  }
})

test('a mixed step takes 1.1 times its rows as a prompt and its contexts, and never less than its decodes', () => {
  const timer = timerOf('bloom-176b', 'h100-80gb')
  const contextMs = timer.stepMs(decodes(8, 1024)) - timer.stepMs(decodes(8, 0))
  // 8 further prompt tokens add their pairs too: next to nothing.
  close(timer.stepMs(together(cell(504), decodes(8, 1024))), 1.1 * timer.stepMs(cell(512)) + contextMs, 0.1)
  const heavy = decodes(64, 8000)
  assert.ok(timer.stepMs(together(cell(1), heavy)) >= timer.stepMs(heavy))
})

test('a power cap stretches prompts by 1.3 and leaves decodes alone', () => {
  const [capped, free] = [timerOf('bloom-176b', 'h100-80gb-pcap'), timerOf('bloom-176b', 'h100-80gb')]
  close(capped.stepMs(cell(2048)) / free.stepMs(cell(2048)), 1.3, 0.01)
  close(capped.stepMs(decodes(16, 1000)), free.stepMs(decodes(16, 1000)), 1e-9)
})

test('the broken points of two devices do not bend the curves down', () => {
  const timer = timerOf('llama2-70b', 'a100-80gb', 2)
  const [at16, at32, at64] = [16, 32, 64].map((batch) => timer.stepMs(decodes(batch, PROFILED_CONTEXT))) as [number, number, number]
  assert.ok(at64 - at32 > at32 - at16, 'the last good piece goes on')
  assert.ok(timer.stepMs(cell(32768)) > 1.9 * timer.stepMs(cell(16384)))
  const published = publishedSplitwiseCurves(ROWS, { model: 'llama2-70b', hardware: 'a100-80gb', tp: 2 })
  assert.ok(published.promptMs(32768) < published.promptMs(4096), 'the published curve keeps them')
})

test('a machine that was not measured is refused', () => {
  assert.throws(() => timerOf('bloom-176b', 'a100-80gb', 4), RangeError)
  assert.throws(() => timerOf('opt-13b', 'a100-80gb', 8), /did not measure opt-13b/)
})
