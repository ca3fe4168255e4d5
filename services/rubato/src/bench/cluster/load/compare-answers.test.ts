import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failed, recordOf } from '../../serve/report/answers.ts'
import type { RunRecord } from '../../serve/report/attainment.ts'
import { answerOf } from '../../serve/report/answers.ts'
import { compareAnswers } from './compare-answers.ts'

const record = (index: number, tokenIds: readonly number[]): RunRecord => recordOf(index, { ...answerOf({}), tokenIds })

test('equal answers differ in nothing', () => {
  const run = [record(0, [1, 2, 3]), record(1, [])]
  assert.deepEqual(compareAnswers(run, run), { compared: 2, failed: 0, duplicated_tokens: 0, missing_tokens: 0, differing_tokens: 0, requests: [] })
})

test('tokens that came twice, went missing or changed are counted, and the requests named', () => {
  const undisturbed = [record(0, [1, 2, 3]), record(1, [4, 5]), record(2, [6, 7, 8]), record(3, [9])]
  const disturbed = [record(0, [1, 2, 2, 3]), record(1, [4]), record(2, [6, 0, 8]), recordOf(3, failed('gone'))]
  const { requests, ...counts } = compareAnswers(disturbed, undisturbed)
  assert.deepEqual(counts, { compared: 3, failed: 1, duplicated_tokens: 1, missing_tokens: 1, differing_tokens: 2 })
  assert.deepEqual(requests, [0, 1, 2, 3])
})

test('what failed in the undisturbed run is not compared', () => {
  assert.equal(compareAnswers([record(0, [1])], [recordOf(0, failed('gone'))]).compared, 0)
})
