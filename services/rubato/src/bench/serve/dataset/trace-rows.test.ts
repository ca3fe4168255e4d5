import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { InvalidArgument } from '@rubato/config'
import { parseTrace, readTrace, timestampMs } from './trace-rows.ts'

const AZURE = 'TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:50.9951690,396,109\r\n2023-11-16 18:15:46.6805900,374,44\r\n'

test('Azure rows come in order of time, from 0, with the fraction of a millisecond', () => {
  const [first, second] = parseTrace(AZURE)
  assert.deepEqual(first, { arrivalMs: 0, inputTokens: 374, outputTokens: 44, blockIds: [] })
  assert.ok(Math.abs((second?.arrivalMs ?? 0) - 4314.579) < 1e-3)
})

test('timestamps of both Azure releases are understood', () => {
  assert.equal(timestampMs('2024-05-10 00:00:00.009930+00:00') - timestampMs('2024-05-10T00:00:00'), 9.929931640625)
  assert.ok(Number.isNaN(timestampMs('soon')))
})

test('splitwise-sim and Mooncake rows', () => {
  const splitwise = 'request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n0,2,0,1.5,1,100,7\n1,2,0,2,1,200,8\n'
  assert.deepEqual(parseTrace(splitwise).map((row) => [row.arrivalMs, row.inputTokens, row.outputTokens]), [[0, 100, 7], [500, 200, 8]])
  assert.deepEqual(parseTrace('{"timestamp": 3, "input_length": 600, "output_length": 5, "hash_ids": [4, 5]}\n'), [{ arrivalMs: 0, inputTokens: 600, outputTokens: 5, blockIds: [4, 5] }])
})

test('a gzipped trace is read', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rubato-trace-'))
  try {
    const file = path.join(folder, 'trace.csv.gz')
    writeFileSync(file, gzipSync(AZURE))
    assert.equal(readTrace(file).length, 2)
    assert.throws(() => readTrace(path.join(folder, 'none.csv')), InvalidArgument)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('what is no trace is refused with its line', () => {
  const messageOf = (text: string): string => {
    try {
      parseTrace(text)
    } catch (error) {
      assert.ok(error instanceof InvalidArgument)
      return error.message
    }
    return assert.fail('was accepted')
  }
  assert.match(messageOf('a,b\n1,2\n'), /unknown columns a,b/)
  assert.match(messageOf('TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,2\n2023-11-16 18:15:47,,2\n'), /line 3/)
  assert.match(messageOf('{"timestamp": 1, "input_length": 5, "output_length": 2}\n{"timestamp": 1\n'), /line 2/)
  assert.match(messageOf('{"timestamp": 1, "input_length": "many", "output_length": 2}\n'), /line 1/)
  assert.match(messageOf('TIMESTAMP,ContextTokens,GeneratedTokens\n'), /no requests/)
})
