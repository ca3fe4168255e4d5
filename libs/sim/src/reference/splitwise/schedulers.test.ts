// Who gets a request, and what the link does between two machines.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomStream } from '../../random-stream.ts'
import type { ReferenceRequest } from '../trace.ts'
import { simulateSplitwiseCluster } from './simulate.ts'
import type { SplitwiseMachineSpec } from './simulate.ts'
import { STEP_MS, timesOf, TOKEN_TRANSFER_MS, toyMachine, TOY_MODEL } from './fixtures/toy-cluster.ts'

const request = (arrivalMs: number, promptTokens: number, outputTokens: number): ReferenceRequest => ({ arrivalMs, promptTokens, outputTokens })

function runPools(promptMachines: readonly SplitwiseMachineSpec[], tokenMachines: readonly SplitwiseMachineSpec[], trace: readonly ReferenceRequest[]) {
  return simulateSplitwiseCluster({ scheduler: 'mixed-pool', promptMachines, tokenMachines, model: TOY_MODEL }, trace)
}

test('token-jsq counts prompts in tokens, and a running decode as one', () => {
  const machines = [toyMachine(), toyMachine()]
  const { records } = simulateSplitwiseCluster({ scheduler: 'token-jsq', machines, model: TOY_MODEL }, [
    request(0, 100, 50), request(1, 20, 50), request(2, 20, 50), request(3, 30, 50), request(200, 10, 2),
  ])
  // Pending: 101; then 21; 42 and 73 on the second. At 200 all prompts are done: 1 against 3.
  assert.deepEqual(records.map(({ promptMachine }) => promptMachine), [0, 1, 1, 1, 0])
  assert.ok(records.every(({ promptMachine, tokenMachine }) => promptMachine === tokenMachine))
})

test('prompts go by pending tokens, decodes by reserved memory', () => {
  const { records } = runPools([toyMachine(), toyMachine()], [toyMachine(), toyMachine()], [request(0, 100, 2), request(1, 50, 200), request(2, 40, 2)])
  assert.deepEqual(records.map(({ promptMachine }) => promptMachine), [0, 1, 1])
  // Reserved: 102 on the first token machine, 250 on the second.
  assert.deepEqual(records.map(({ tokenMachine }) => tokenMachine), [2, 3, 2])
})

test('the KV moves behind the prompt, and decoding begins with it', () => {
  const run = runPools([toyMachine()], [toyMachine()], [request(0, 100, 4)])
  assert.deepEqual(timesOf(run), [{ firstMs: 100, endMs: 100 + 100 * TOKEN_TRANSFER_MS + 3 * STEP_MS }])
  assert.equal(run.records[0]?.tbtMs, (500 + 30) / 4)
})

test('a receiver without memory is asked again every second', () => {
  // At 150 both prompt machines are done with a prompt and still send it. The third request computes on the first one, which
  // has as little pending, and is to decode on the second one, which has less reserved: borrowed, whether it has room or not.
  const run = runPools([toyMachine(200), toyMachine(120)], [toyMachine(405)], [request(0, 100, 100), request(1, 90, 100), request(150, 40, 20)])
  assert.deepEqual([run.records[2]?.promptMachine, run.records[2]?.tokenMachine], [0, 1])
  // At 190 the second prompt machine holds 91 of 120 tokens, until 541.
  assert.deepEqual(timesOf(run)[2], { firstMs: 190, endMs: 190 + 1000 + 40 * TOKEN_TRANSFER_MS + 19 * STEP_MS })
})

test('a prompt that found no memory begins when a KV before it has moved away', () => {
  const run = runPools([toyMachine(150)], [toyMachine()], [request(0, 100, 2), request(10, 100, 2)])
  const movedMs = 100 + 100 * TOKEN_TRANSFER_MS
  assert.deepEqual(timesOf(run).map(({ firstMs }) => firstMs), [100, movedMs + 100])
})

test('a token machine is full when a request would take all that it has', () => {
  const routes = (capacityTokens: number) => runPools([toyMachine()], [toyMachine(capacityTokens)], [request(0, 100, 3)]).records.map(({ tokenMachine }) => tokenMachine)
  assert.deepEqual(routes(103), [0])
  assert.deepEqual(routes(104), [1])
})

test('a token machine without memory borrows a prompt machine, which goes home when idle', () => {
  const { records } = runPools([toyMachine(), toyMachine()], [toyMachine(300)], [
    request(0, 100, 150), request(1, 100, 150), request(5000, 100, 150),
  ])
  // The second does not fit beside the first: a prompt machine without reservations does its decodes.
  assert.deepEqual(records.map(({ promptMachine, tokenMachine }) => [promptMachine, tokenMachine]), [[0, 2], [1, 1], [0, 2]])
})

test('long queues at the prompt machines borrow a token machine', () => {
  const trace = [request(0, 5000, 2), request(1, 4000, 2), request(2, 4000, 2), request(3, 100, 2)]
  const { records } = runPools([toyMachine()], [toyMachine(), toyMachine()], trace)
  // 9,000 pending with a queue: the third goes elsewhere, the fourth to the mixed machine that the third borrowed.
  assert.deepEqual(records.map(({ promptMachine }) => promptMachine), [0, 0, 1, 1])
})

test('random traces: none ends sooner than it could alone; with memory for all of them all end, and give it back', (t) => {
  for (const seed of [1, 2]) {
    t.diagnostic(`seed ${seed}`)
    const random = randomStream(seed, 'trace')
    let atMs = 0
    const trace = Array.from({ length: 150 }, () => request((atMs += 1000 * random.next()), 1 + random.int(3000), 1 + random.int(200)))
    for (const capacityTokens of [4000, 1e6]) {
      const machines = (count: number) => Array.from({ length: count }, () => toyMachine(capacityTokens))
      const runs = [
        simulateSplitwiseCluster({ scheduler: 'token-jsq', machines: machines(3), model: TOY_MODEL }, trace),
        runPools(machines(2), machines(2), trace),
      ]
      for (const { records, numUnfinished } of runs) {
        assert.equal(records.length + numUnfinished, trace.length)
        if (capacityTokens === 1e6) assert.equal(numUnfinished, 0)
        for (const { promptTokens, outputTokens, promptMachine, tokenMachine, ttftMs, e2eMs } of records) {
          const transferMs = promptMachine === tokenMachine ? 0 : promptTokens * TOKEN_TRANSFER_MS
          assert.ok(ttftMs > promptTokens - 1e-6)
          assert.ok(e2eMs - ttftMs > transferMs + (outputTokens - 1) * STEP_MS - 1e-6)
        }
      }
    }
  }
})
