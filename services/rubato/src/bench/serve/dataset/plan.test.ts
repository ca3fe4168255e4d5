import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { randomStream } from '@rubato/sim'
import { testSeed } from '@rubato/testing'
import { BENCH_SERVE_DEFAULTS } from '../options.ts'
import type { DatasetOptions } from '../options.ts'
import { calibrationNeeds } from './mixed-slo.ts'
import { drawLength, planCalibration, planRequests } from './plan.ts'
import type { PlannedRequest } from './planned-request.ts'
import { Excerpts, readPromptText } from './prompt-text.ts'

const SEED = testSeed(11)
const folder = mkdtempSync(path.join(os.tmpdir(), 'rubato-plan-'))
after(() => rmSync(folder, { recursive: true }))

const context = { seed: SEED, asText: false, baseline: null }
const dataset = (changes: Partial<DatasetOptions>): DatasetOptions => ({ ...BENCH_SERVE_DEFAULTS.dataset, numPrompts: 40, inputTokens: 30, outputTokens: 10, ...changes })

function tokensOf(request: PlannedRequest | undefined): readonly number[] {
  assert.ok(request !== undefined && request.input.kind === 'tokens')
  return request.input.tokenIds
}

function textOf(request: PlannedRequest | undefined): string {
  assert.ok(request !== undefined && request.input.kind === 'text')
  return request.input.text
}

test('random prompts have their planned length, ids in range, and differ', () => {
  const requests = planRequests(dataset({ name: 'random', rangeRatio: 0.5 }), context)
  for (const request of requests) {
    const ids = tokensOf(request)
    assert.equal(ids.length, request.promptTokens)
    assert.ok(ids.every((id) => Number.isInteger(id) && id >= 16 && id < 1024))
    assert.ok(request.promptTokens >= 15 && request.promptTokens <= 45 && request.maxTokens >= 5 && request.maxTokens <= 15)
  }
  assert.equal(new Set(requests.map((request) => tokensOf(request).join())).size, requests.length)
  assert.ok(new Set(requests.map((request) => request.promptTokens)).size > 5)
})

test('a plan is a function of its seed', () => {
  for (const name of ['random', 'shakespeare'] as const) {
    assert.deepEqual(planRequests(dataset({ name }), context), planRequests(dataset({ name }), context))
    assert.notDeepEqual(planRequests(dataset({ name }), context), planRequests(dataset({ name }), { ...context, seed: SEED + 1 }))
  }
})

test('a random prefix is shared and counted', () => {
  const [first, second] = planRequests(dataset({ prefixTokens: 8 }), context)
  assert.deepEqual(tokensOf(first).slice(0, 8), tokensOf(second).slice(0, 8))
  assert.notDeepEqual(tokensOf(first).slice(8), tokensOf(second).slice(8))
  assert.equal(first?.promptTokens, 38)
})

test('a chat endpoint gets words in place of ids', () => {
  const [first] = planRequests(dataset({}), { ...context, asText: true })
  const text = textOf(first)
  assert.match(text, /^[a-z]+( [a-z]+)+$/)
  assert.ok(text.length >= 60 && text.length < 120, text)
})

test('lengths reach both ends of their range and never 0', () => {
  const random = randomStream(SEED, 'lengths')
  const lengths = new Set(Array.from({ length: 2000 }, () => drawLength(10, 0.25, random)))
  assert.deepEqual([...lengths].toSorted((a, b) => a - b), [7, 8, 9, 10, 11, 12, 13])
  assert.equal(drawLength(10, 0, random), 10)
  assert.ok(Array.from({ length: 50 }, () => drawLength(1, 0.9, random)).every((length) => length >= 1))
})

test('shakespeare prompts are pieces of the bundled text, none beginning where another does', () => {
  const whole = readPromptText(null)
  const texts = planRequests(dataset({ name: 'shakespeare', numPrompts: 300 }), context).map(textOf)
  const twice = whole + whole
  assert.ok(texts.every((text) => twice.includes(text) && text.length <= 69 && text.length > 40))
  assert.equal(new Set(texts).size, texts.length)
})

test('excerpts begin at every word before one repeats, and run on past the end', () => {
  const excerpts = new Excerpts('one two three', randomStream(SEED, 'excerpts'))
  const heads = Array.from({ length: 3 }, () => excerpts.next(5).split(' ')[0])
  assert.deepEqual(new Set(heads), new Set(['one', 'two', 'three']))
  assert.equal(excerpts.next(100).length > 80, true)
})

test('a trace gives arrivals, scaled and capped lengths, and shared prefixes where block ids are equal', () => {
  const file = path.join(folder, 'trace.jsonl')
  const rows = [
    { timestamp: 500, input_length: 1100, output_length: 100, hash_ids: [1, 2, 3] },
    { timestamp: 0, input_length: 1000, output_length: 30, hash_ids: [1, 9] },
    { timestamp: 800, input_length: 90_000, output_length: 1, hash_ids: [] },
  ]
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'))
  const options = dataset({ name: 'trace', path: file, traceScale: 0.25, maxInputTokens: 260, maxOutputTokens: 20 })
  const [first, second, third] = planRequests(options, context)
  assert.deepEqual([first, second, third].map((request) => request?.arrivalMs), [0, 500, 800])
  assert.deepEqual([first, second, third].map((request) => request?.promptTokens), [250, 260, 260])
  assert.deepEqual([first, second, third].map((request) => request?.maxTokens), [8, 20, 1])
  assert.deepEqual([first, second, third].map((request) => tokensOf(request).length), [250, 260, 260])
  assert.deepEqual(tokensOf(first).slice(0, 128), tokensOf(second).slice(0, 128))
  assert.notDeepEqual(tokensOf(first).slice(128, 250), tokensOf(second).slice(128, 250))
  assert.equal(planRequests({ ...options, numPrompts: 2 }, context).length, 2)
})

test('mixed-slo draws classes by share, each with its own lengths and targets', () => {
  const baseline = { tpotMs: 30, ttftMsOf: { coding: 10, chat: 12, summarisation: 40 } }
  const requests = planRequests(dataset({ name: 'mixed-slo', numPrompts: 5000 }), { ...context, baseline })
  const shareOf = (name: string): number => requests.filter((request) => request.className === name).length / requests.length
  assert.ok(Math.abs(shareOf('coding') - 0.6) < 0.03 && Math.abs(shareOf('chat') - 0.2) < 0.03, `seed ${SEED}`)
  const targets = Object.fromEntries(requests.map((request) => [request.className, request.slo]))
  assert.deepEqual(targets['coding'], { ttftMs: 100, tpotMs: 36, e2elMs: null })
  assert.equal(targets['chat']?.tpotMs?.toFixed(1), '50.1')
  assert.deepEqual(targets['summarisation'], { ttftMs: 400, tpotMs: 150, e2elMs: null })
  assert.ok(requests.every((request) => request.promptTokens === { coding: 96, chat: 128, summarisation: 768 }[request.className ?? '']))
})

test('calibration is needed only for relative targets, and its text is not that of the run', () => {
  const options = dataset({ name: 'mixed-slo' })
  const absolute = options.classes.map((one) => ({ ...one, ttft: { kind: 'none' as const }, tpot: { kind: 'ms' as const, ms: 20 } }))
  assert.deepEqual(calibrationNeeds(options.classes, null), { ttft: true, tpot: true })
  assert.deepEqual(calibrationNeeds(options.classes, 5), { ttft: true, tpot: false })
  assert.deepEqual(calibrationNeeds(absolute, null), { ttft: false, tpot: false })
  const run = new Set(planRequests({ ...options, classes: absolute }, context).map(textOf))
  const calibration = planCalibration(options.classes[0]!, options, SEED)
  assert.equal(calibration.length, 3)
  assert.ok(calibration.every((request) => !run.has(textOf(request))))
})

test('a relative target without a measured baseline is refused by name', () => {
  assert.throws(() => planRequests(dataset({ name: 'mixed-slo' }), context), (error: unknown) => error instanceof InvalidArgument && error.field?.startsWith('--mixed-slo-ttft') === true)
})
