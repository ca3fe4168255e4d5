// The reference's event loop against queueing theory: DistServe §3.1. About 1.5 s.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomStream } from '../../random-stream.ts'
import { simulateDistServe } from '../distserve/simulate.ts'
import { constantServiceInstance, constantServiceRequest } from './constant-service.ts'
import { pipelinedMeanTtftMs, plainMeanTtftMs, tensorParallelMeanTtftMs } from './mean-ttft.ts'

const SEED = 3
const SERVICE_MS = 100
const SPEED_UP = 1.7
const LIMIT_RATIO = 0.02

/** Times at rate 1, given how many arrive: their total time is what it should be, which takes most of the noise out of the mean. */
function poissonTimes(count: number): number[] {
  const random = randomStream(SEED, 'poisson')
  let at = 0
  const times = Array.from({ length: count + 1 }, () => (at -= Math.log(1 - random.next())))
  return times.slice(0, count).map((time) => (time * (count + 1)) / at)
}

/** Longer queues take more arrivals to know their mean. */
const LOADS = [
  { utilisation: 0.3, numArrivals: 5_000 },
  { utilisation: 0.6, numArrivals: 20_000 },
  { utilisation: 0.8, numArrivals: 60_000 },
]

const SHAPES = [
  { name: 'one device', capacityRatio: 1, instance: constantServiceInstance(SERVICE_MS, 1), formula: plainMeanTtftMs },
  { name: 'two stages', capacityRatio: 2, instance: constantServiceInstance(SERVICE_MS / 2, 2), formula: pipelinedMeanTtftMs },
  {
    name: 'tensor parallel', capacityRatio: SPEED_UP, instance: constantServiceInstance(SERVICE_MS / SPEED_UP, 1),
    formula: (load: Parameters<typeof plainMeanTtftMs>[0]) => tensorParallelMeanTtftMs(load, SPEED_UP),
  },
] as const

for (const { utilisation, numArrivals } of LOADS) {
  test(`mean TTFT is what M/D/1 says, to 2 %, at utilisation ${utilisation}`, (t) => {
    const times = poissonTimes(numArrivals)
    for (const { name, capacityRatio, instance, formula } of SHAPES) {
      const ratePerMs = (utilisation * capacityRatio) / SERVICE_MS
      const records = simulateDistServe({ mode: 'prefill-only', prefill: [instance] }, times.map((time) => constantServiceRequest(time / ratePerMs)))
      const meanMs = records.reduce((sum, { ttftMs }) => sum + ttftMs, 0) / numArrivals
      const expectedMs = formula({ serviceMs: SERVICE_MS, ratePerMs })
      const errorRatio = meanMs / expectedMs - 1
      t.diagnostic(`${name}: ${meanMs.toFixed(1)} ms, formula ${expectedMs.toFixed(1)} ms, ${(100 * errorRatio).toFixed(2)} %; seed ${SEED}`)
      assert.ok(Math.abs(errorRatio) < LIMIT_RATIO, name)
    }
  })
}

test('tensor parallelism wins at low rates, pipeline parallelism at high ones', () => {
  const at = (ratePerMs: number) => {
    const load = { serviceMs: SERVICE_MS, ratePerMs }
    return { pipelined: pipelinedMeanTtftMs(load), tensor: tensorParallelMeanTtftMs(load, SPEED_UP) }
  }
  assert.ok(at(0.001).tensor < at(0.001).pipelined)
  assert.ok(at(0.0165).pipelined < at(0.0165).tensor)
})
