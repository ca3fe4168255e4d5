// The rules of a machine's iterations, on machines with round numbers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReferenceRequest } from '../trace.ts'
import { simulateSplitwiseCluster } from './simulate.ts'
import { timesOf, toyMachine, TOY_MODEL } from './fixtures/toy-cluster.ts'

const request = (arrivalMs: number, promptTokens: number, outputTokens: number): ReferenceRequest => ({ arrivalMs, promptTokens, outputTokens })

function runAlone(trace: readonly ReferenceRequest[], capacityTokens?: number) {
  return simulateSplitwiseCluster({ scheduler: 'token-jsq', machines: [toyMachine(capacityTokens)], model: TOY_MODEL }, trace)
}

test('a prompt cuts a run of decodes at the next end of an iteration, and takes them along', () => {
  // The first decodes from 100 on in steps of 10; the second arrives at 125 and joins at 130, in a mixed iteration.
  const times = timesOf(runAlone([request(0, 100, 11), request(125, 50, 2)]))
  const mixedEndMs = 130 + 1.1 * 51
  assert.deepEqual(times[1], { firstMs: mixedEndMs, endMs: mixedEndMs + 10 })
  // Ten decodes: three before, one in the mixed iteration, six behind.
  assert.deepEqual(times[0], { firstMs: 100, endMs: mixedEndMs + 60 })
})

test('a prompt that fills the token budget pushes the decodes out; they go on behind it', () => {
  const times = timesOf(runAlone([request(0, 100, 11), request(105, 2048, 2)]))
  assert.deepEqual(times[1], { firstMs: 110 + 2048, endMs: 110 + 2048 + 10 })
  assert.equal(times[0]?.endMs, 110 + 2048 + 90)
})

test('a prompt above the token budget runs alone; only the token task that comes with it cuts the decodes', () => {
  const trace = [request(0, 100, 11), request(105, 3000, 2)]
  assert.deepEqual(timesOf(runAlone(trace)), [{ firstMs: 100, endMs: 110 + 3000 + 90 }, { firstMs: 110 + 3000, endMs: 110 + 3000 + 10 }])
})

test('prompts that come together run together, as far as the token budget goes', () => {
  const times = timesOf(runAlone([request(0, 10, 2), request(1, 1000, 2), request(1, 1000, 2), request(1, 100, 2)]))
  // At 10: the first's decode and 2,000 prompt tokens, mixed; the fourth prompt does not fit any more.
  const mixedEndMs = 10 + 1.1 * 2001
  assert.equal(times[0]?.endMs, mixedEndMs)
  assert.deepEqual(times.slice(1, 3).map(({ firstMs }) => firstMs), [mixedEndMs, mixedEndMs])
  assert.equal(times[3]?.firstMs, mixedEndMs + 1.1 * 102)
})

test('decodes run together, in one go to the earliest end', () => {
  // The second's prompt runs beside the first's second token.
  const mixedEndMs = 10 + 1.1 * 11
  const times = timesOf(runAlone([request(0, 10, 4), request(0, 10, 7)]))
  assert.deepEqual(times.map(({ endMs }) => endMs), [mixedEndMs + 20, mixedEndMs + 60])
})

test('a prompt that finds no memory waits until a request ends', () => {
  // The first holds 22 tokens in the end, the second would take 16 more of 25 before.
  const times = timesOf(runAlone([request(0, 10, 12), request(1, 15, 5)], 25))
  assert.deepEqual(times, [{ firstMs: 10, endMs: 120 }, { firstMs: 135, endMs: 175 }])
})

test('prompts can take the memory that their own tokens need: then nothing ends', () => {
  const run = runAlone([request(0, 10, 12), request(1, 10, 12)], 30)
  assert.deepEqual({ ...run, records: run.records.length }, { records: 0, numUnfinished: 2 })
})

test('a request of one token has an empty task behind its prompt, which ends with the iterations that it is in', () => {
  assert.deepEqual(timesOf(runAlone([request(0, 10, 1)])), [{ firstMs: 10, endMs: 10 }])
  // At 10 the prompt of another runs beside it.
  const mixedEndMs = 10 + 1.1 * 11
  const times = timesOf(runAlone([request(0, 10, 1), request(0, 10, 4)]))
  assert.deepEqual(times, [{ firstMs: 10, endMs: mixedEndMs }, { firstMs: mixedEndMs, endMs: mixedEndMs + 30 }])
})

test('what never gets memory is left, and the simulation ends', () => {
  const run = runAlone([request(0, 10, 3), request(1, 100, 3)], 50)
  assert.equal(run.records.length, 1)
  assert.equal(run.numUnfinished, 1)
})
