import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mean } from '../../statistics.ts'
import { answerOf } from './answers.ts'
import { e2elMs, itlsMs, latencyFields, tpotMs, ttftMs } from './latencies.ts'
import { peakConcurrency, peakTokensPerSec } from './peaks.ts'

test('worked example: five tokens in three chunks', () => {
  const answer = answerOf({ startMs: 100, chunkTimesMs: [150, 180, 240], chunkTokens: [1, 1, 3] })
  assert.equal(ttftMs(answer), 50)
  assert.equal(e2elMs(answer), 140)
  assert.equal(tpotMs(answer), 22.5)
  assert.deepEqual(itlsMs(answer), [30, 20, 20, 20])
})

test('gaps of an answer sum to last - first and average to its tpot, however it is cut into chunks', () => {
  for (const chunkTokens of [[5, 1, 1], [1, 2, 4], [3, 3, 1]]) {
    const answer = answerOf({ startMs: 0, chunkTimesMs: [10, 40, 70], chunkTokens })
    const gaps = itlsMs(answer)
    assert.equal(gaps.length, 6)
    assert.ok(Math.abs(gaps.reduce((sum, gap) => sum + gap, 0) - 60) < 1e-9)
    assert.ok(Math.abs((mean(gaps) ?? 0) - (tpotMs(answer) ?? 0)) < 1e-9)
  }
})

test('an answer of one token or none has no tpot and no gap', () => {
  const one = answerOf({ startMs: 5, chunkTimesMs: [9] })
  const none = answerOf({ startMs: 5, chunkTimesMs: [9], chunkTokens: [0] })
  assert.deepEqual([tpotMs(one), itlsMs(one), ttftMs(one), e2elMs(one)], [null, [], 4, 4])
  assert.deepEqual([tpotMs(none), itlsMs(none), ttftMs(none)], [null, [], 4])
  assert.deepEqual([ttftMs(answerOf({})), e2elMs(answerOf({}))], [null, null])
})

test('where only the total is known tpot uses it and each chunk is one gap', () => {
  const answer = answerOf({ chunkTimesMs: [10, 30, 50], outputTokens: 9, hasExactChunks: false })
  assert.equal(tpotMs(answer), 5)
  assert.deepEqual(itlsMs(answer), [20, 20])
})

test('latency fields carry every statistic under its name', () => {
  const fields = latencyFields([answerOf({ chunkTimesMs: [10, 20] }), answerOf({ chunkTimesMs: [30, 70] })], [90, 99, 99.9])
  assert.deepEqual([fields.mean_ttft_ms, fields.median_ttft_ms, fields.std_ttft_ms, fields.p90_ttft_ms], [20, 20, 10, 28])
  assert.deepEqual([fields.mean_tpot_ms, fields.mean_itl_ms, fields.mean_e2el_ms], [25, 25, 45])
  assert.ok(Math.abs((fields['p99.9_e2el_ms'] ?? 0) - 69.95) < 1e-9)
  assert.equal(Object.keys(fields).length, 4 * 6)
  assert.equal(latencyFields([], [99]).p99_ttft_ms, null)
})

test('peaks: tokens of the busiest second, answers under way at once', () => {
  const answers = [
    answerOf({ startMs: 1000, chunkTimesMs: [1500, 2100], chunkTokens: [1, 4] }),
    answerOf({ startMs: 1200, chunkTimesMs: [2300], chunkTokens: [2] }),
    answerOf({ startMs: 2300, chunkTimesMs: [4000] }),
  ]
  assert.equal(peakTokensPerSec(answers), 6)
  assert.equal(peakConcurrency(answers), 2)
  assert.deepEqual([peakTokensPerSec([]), peakConcurrency([])], [0, 0])
})
