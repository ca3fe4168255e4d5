import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CircuitBreaker } from './circuit-breaker.ts'

function closed(): CircuitBreaker {
  const breaker = new CircuitBreaker()
  breaker.succeeded()
  return breaker
}

test('a new speculator is asked at once, and waited for once it has answered', () => {
  const breaker = new CircuitBreaker()
  assert.deepEqual([breaker.mayAsk(0), breaker.isClosed], [true, false])
  breaker.succeeded()
  assert.deepEqual([breaker.mayAsk(0), breaker.isClosed], [true, true])
})

test('three failures in a row open it, and a success between them starts the count anew', () => {
  const breaker = closed()
  for (let round = 0; round < 2; round++) {
    breaker.succeeded()
    breaker.failed(10)
    breaker.failed(10)
  }
  assert.equal(breaker.isClosed, true)
  breaker.failed(10)
  assert.deepEqual([breaker.isClosed, breaker.mayAsk(259), breaker.mayAsk(260)], [false, false, true])
})

test('probes that fail double the pause, up to a limit; one that succeeds closes it', () => {
  for (const start of [closed, () => new CircuitBreaker()]) {
    const breaker = start()
    let nowMs = 0
    for (let count = 0; breaker.isClosed; count++) {
      assert.ok(count < 3)
      breaker.failed(nowMs)
    }
    if (start !== closed) breaker.failed(nowMs)
    const pauses: number[] = []
    for (let probe = 0; probe < 8; probe++) {
      const startMs = nowMs
      while (!breaker.mayAsk(nowMs)) nowMs += 10
      pauses.push(nowMs - startMs)
      breaker.failed(nowMs)
    }
    assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000])
    breaker.succeeded()
    assert.equal(breaker.isClosed, true)
    for (let count = 0; count < 3; count++) breaker.failed(nowMs)
    assert.deepEqual([breaker.mayAsk(nowMs + 249), breaker.mayAsk(nowMs + 250)], [false, true])
  }
})
