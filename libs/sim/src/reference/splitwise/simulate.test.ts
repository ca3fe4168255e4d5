// Parity with the published simulator on its own example: three requests, BLOOM-176B, formulas and its printed results.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csvRows, numberIn } from '../../cost/csv.ts'
import { loadSplitwiseProfile, readDataText } from '../../cost/data-files.ts'
import { publishedSplitwiseCurves } from '../../cost/splitwise/published-curves.ts'
import type { ReferenceRequest } from '../trace.ts'
import { SPLITWISE_MODELS } from './published.ts'
import { simulateSplitwiseCluster } from './simulate.ts'
import type { SplitwiseRun } from './simulate.ts'

const ROWS = loadSplitwiseProfile()
const TRACE = csvRows(readDataText('splitwise-sim/traces/test_trace.csv')).map((row): ReferenceRequest => ({
  arrivalMs: 1000 * numberIn(row, 'arrival_timestamp'), promptTokens: numberIn(row, 'prompt_size'), outputTokens: numberIn(row, 'token_size'),
}))
const MODEL = SPLITWISE_MODELS['bloom-176b']
/** A microsecond. */
const LIMIT_MS = 1e-3

function machine(hardware: string) {
  return { curves: publishedSplitwiseCurves(ROWS, { model: 'bloom-176b', hardware, tp: 8 }) }
}

/** The measured median at so many tokens in KV, straight from the rows. */
function medianAt(hardware: string, tokens: number, of: 'promptMs' | 'tokenMs'): number {
  const values = ROWS.filter((row) => row.model === 'bloom-176b' && row.hardware === hardware && row.tp === 8 && row.promptTokens * row.batch === tokens)
    .map((row) => row[of]).sort((a, b) => a - b)
  const middle = values.length / 2
  return (values[Math.ceil(middle) - 1]! + values[Math.floor(middle)]!) / 2
}

const promptMs = (hardware: string, tokens: number): number => medianAt(hardware, tokens, 'promptMs')
/** One decode: the line through the curve's first two points, 128 and 256, followed down to 1. */
const oneTokenMs = (hardware: string): number => medianAt(hardware, 128, 'tokenMs') - (127 / 128) * (medianAt(hardware, 256, 'tokenMs') - medianAt(hardware, 128, 'tokenMs'))
/** Keys and values of 70 layers of 14,336 numbers of two bytes over 200 GiB/s. */
const transferMs = (tokens: number): number => (1000 * tokens * 2 * 70 * 14_336 * 2) / (200 * 1024 ** 3)

function assertClose(actual: number, expected: number, label: string): void {
  assert.ok(Math.abs(actual - expected) < LIMIT_MS, `${label}: ${actual}, expected ${expected}`)
}

function assertRecords({ records, numUnfinished }: SplitwiseRun, expected: (request: ReferenceRequest) => { ttftMs: number; e2eMs: number }): void {
  assert.equal(numUnfinished, 0)
  assert.equal(records.length, TRACE.length)
  records.forEach((record, index) => {
    const { ttftMs, e2eMs } = expected(TRACE[index]!)
    assertClose(record.ttftMs, ttftMs, `TTFT of ${index}`)
    assertClose(record.e2eMs, e2eMs, `E2E of ${index}`)
    assertClose(record.tbtMs, (e2eMs - ttftMs) / TRACE[index]!.outputTokens, `TBT of ${index}`)
  })
}

const ONE_H100 = { scheduler: 'token-jsq', machines: [machine('h100-80gb')], model: MODEL } as const
const H100_AND_A100 = { scheduler: 'mixed-pool', promptMachines: [machine('h100-80gb')], tokenMachines: [machine('a100-80gb')], model: MODEL } as const

test('one H100 machine: prompt curve, then one decode step per further token', () => {
  assertRecords(simulateSplitwiseCluster(ONE_H100, TRACE), ({ promptTokens, outputTokens }) => {
    const ttftMs = promptMs('h100-80gb', promptTokens)
    return { ttftMs, e2eMs: ttftMs + (outputTokens - 1) * oneTokenMs('h100-80gb') }
  })
})

test('a prompt and a token machine: the KV moves in between, in one piece', () => {
  assertRecords(simulateSplitwiseCluster(H100_AND_A100, TRACE), ({ promptTokens, outputTokens }) => {
    const ttftMs = promptMs('h100-80gb', promptTokens)
    return { ttftMs, e2eMs: ttftMs + transferMs(promptTokens) + (outputTokens - 1) * oneTokenMs('a100-80gb') }
  })
})

// From the outputs in its notebooks/example.ipynb: durations of every part, in ms.
const PUBLISHED = [
  { promptMs: 649.598277, transferMs: 76.5625, h100TokensMs: 1095.144683, a100TokensMs: 1473.065505 },
  { promptMs: 251.964009, transferMs: 38.28125, h100TokensMs: 247.290735, a100TokensMs: 332.627695 },
  { promptMs: 251.964009, transferMs: 38.28125, h100TokensMs: 529.908718, a100TokensMs: 712.773632 },
]

test('both give the results that the original printed', () => {
  const published = (of: (parts: (typeof PUBLISHED)[number]) => number) => (request: ReferenceRequest) => {
    const parts = PUBLISHED[TRACE.indexOf(request)]!
    return { ttftMs: parts.promptMs, e2eMs: parts.promptMs + of(parts) }
  }
  assertRecords(simulateSplitwiseCluster(ONE_H100, TRACE), published((parts) => parts.h100TokensMs))
  assertRecords(simulateSplitwiseCluster(H100_AND_A100, TRACE), published((parts) => parts.transferMs + parts.a100TokensMs))
})
