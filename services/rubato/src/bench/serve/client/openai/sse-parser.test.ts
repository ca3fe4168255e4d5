import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { SseParser } from './sse-parser.ts'

const STREAM = ': hello\n\ndata: {"a":"wörld €"}\r\n\r\nevent: note\nid: 3\ndata:first\ndata: second\n\ndata\n\ndata: x:y\n\ndata: [DONE]\n\n'
const EVENTS = ['{"a":"wörld €"}', 'first\nsecond', '', 'x:y', '[DONE]']

function parse(parts: readonly Buffer[]): string[] {
  const events: string[] = []
  const parser = new SseParser((data) => events.push(data))
  for (const part of parts) parser.push(part)
  return events
}

test('events come whole wherever the bytes are split', () => {
  const bytes = Buffer.from(STREAM)
  assert.deepEqual(parse([bytes]), EVENTS)
  for (let at = 0; at <= bytes.length; at++) assert.deepEqual(parse([bytes.subarray(0, at), bytes.subarray(at)]), EVENTS, `split at ${at}`)
  assert.deepEqual(parse(Array.from(bytes, (byte) => Buffer.of(byte))), EVENTS)
})

test('many random splits', () => {
  const random = seededRandom(testSeed(3))
  const bytes = Buffer.from(STREAM)
  for (let round = 0; round < 200; round++) {
    const parts: Buffer[] = []
    for (let from = 0; from < bytes.length;) {
      const to = from + 1 + random.int(12)
      parts.push(bytes.subarray(from, to))
      from = to
    }
    assert.deepEqual(parse(parts), EVENTS, `seed ${random.seed}, round ${round}`)
  }
})

test('an event is not told before its blank line', () => {
  assert.deepEqual(parse([Buffer.from('data: a\n')]), [])
  assert.deepEqual(parse([Buffer.from('data: a\n'), Buffer.from('\n')]), ['a'])
})
