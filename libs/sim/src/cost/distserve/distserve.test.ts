import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadDistServeProfile } from '../data-files.ts'
import { cell, cellsOf, decodes, together } from '../fixtures/step-works.ts'
import { decodeStageMs, distServeForm, handingOutMs, prefillStageMs } from './distserve-profile.ts'
import { distServeTimer } from './distserve-timer.ts'

const PROFILE = loadDistServeProfile('distserve')
const OPT_13B = distServeForm(PROFILE, 'opt-13b', 1)

function close(actual: number, expected: number, label = ''): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6 * Math.abs(expected) + 1e-9, `${label} ${actual} is not ${expected}`)
}

const plain = distServeTimer({ form: OPT_13B, withHandingOut: false })

test('a prompt of 512 tokens, worked by hand', () => {
  // 18.10254647486372 + 0.1019122572698738 * 512 + 7.122264314252114e-6 * 512^2 = 72.1486816, and 1 per stage.
  const prefillMs = 18.10254647486372 + 0.1019122572698738 * 512 + 7.122264314252114e-6 * 262_144
  close(prefillMs, 72.14868, 'by hand')
  close(plain.stepMs(cell(512)), prefillMs + 1)
  close(prefillStageMs(OPT_13B, 512, 262_144, 2), prefillMs / 2 + 2)
  close(distServeTimer({ form: OPT_13B, pp: 2, withHandingOut: false }).stepMs(cell(512)), 2 * (prefillMs / 2 + 2))
})

test('a decode step, worked by hand: contexts count the newest token', () => {
  const decodeMs = 19.934702624895458 + 0.0006269356524350583 * 10 * 501 + 0.03850697740828398 * 10
  close(plain.stepMs(decodes(10, 500)), decodeMs)
  close(decodeStageMs(OPT_13B, 10, 5010, 4), decodeMs / 4)
})

test('from 95 sequences on the other fit holds', () => {
  close(plain.stepMs(decodes(94, 100)), 19.934702624895458 + 0.0006269356524350583 * 94 * 101 + 0.03850697740828398 * 94)
  close(plain.stepMs(decodes(95, 100)), 7.1661889468253595 + 0.0005798000403396046 * 95 * 101 + 0.15831096191764046 * 95)
})

test('handing out the work takes 2 ms and 1e-4 ms per context token, once per step', () => {
  close(handingOutMs(5000), 2.5)
  const timer = distServeTimer({ form: OPT_13B })
  close(timer.stepMs(decodes(10, 500)) - plain.stepMs(decodes(10, 500)), 2.5)
  close(timer.stepMs(cell(512)) - plain.stepMs(cell(512)), 2.0512)
})

test('cells of a prompt cost together what the prompt does and a fixed part each', () => {
  const cells = cellsOf(2000, 512)
  const splitMs = cells.reduce((sum, work) => sum + plain.stepMs(work), 0)
  close(splitMs, plain.stepMs(cell(2000)) + (cells.length - 1) * (18.10254647486372 + 1))
})

test('a mixed step pays the pass over the weights once', () => {
  close(plain.stepMs(together(cell(512), decodes(10, 500))), plain.stepMs(cell(512)) + plain.stepMs(decodes(10, 500)) - 19.934702624895458)
})

test('nothing takes no time, and a draft node what a further sequence takes', () => {
  assert.equal(distServeTimer({ form: OPT_13B }).stepMs({ cells: [], decodes: [] }), 0)
  close(plain.stepMs(decodes(2, 300, 3)) - plain.stepMs(decodes(2, 300)), 6 * 0.03850697740828398)
})

test('a negative square term is not followed past the model\'s length', () => {
  const form = distServeForm(loadDistServeProfile('vllm'), 'opt-66b', 2)
  assert.ok(form.prefill[2] < 0)
  const timer = distServeTimer({ form })
  let previousMs = 0
  for (let tokens = 512; tokens <= 32_768; tokens += 512) {
    const ms = timer.stepMs(cell(tokens))
    assert.ok(ms > previousMs, `${tokens} tokens take ${ms}, fewer ${previousMs}`)
    previousMs = ms
  }
})

test('what was not fitted is refused', () => {
  assert.throws(() => distServeForm(PROFILE, 'opt-13b', 8), RangeError)
  assert.throws(() => distServeForm(PROFILE, 'llama2-7b', 1), /fitted nothing for llama2-7b/)
})
