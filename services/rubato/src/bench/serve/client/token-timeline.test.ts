import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readStreamEvent, refusalMessageOf } from './openai/stream-event.ts'
import { TokenTimeline } from './token-timeline.ts'

/** A timeline of these events, one every 10 ms from 10 on. */
function timelineOf(events: readonly object[]): TokenTimeline {
  const timeline = new TokenTimeline()
  for (const [index, event] of events.entries()) {
    const read = readStreamEvent(JSON.stringify(event))
    assert.ok(read.kind === 'chunk')
    if (read.content !== null) timeline.add(read.content, (index + 1) * 10)
  }
  return timeline
}

const completion = (text: string, rest: object = {}, chunk: object = {}): object => ({ choices: [{ index: 0, text, finish_reason: null, ...rest }], ...chunk })

test('token ids count tokens, also of chunks without text', () => {
  const timeline = timelineOf([completion('', { token_ids: [] }), completion('a', { token_ids: [1, 2] }), completion('', { token_ids: [3] }), completion('b', { token_ids: [4, 5, 6], finish_reason: 'stop' })])
  assert.deepEqual([timeline.chunkTimesMs, timeline.chunkTokens, timeline.tokenIds], [[20, 30, 40], [2, 1, 3], [1, 2, 3, 4, 5, 6]])
  assert.equal(timeline.numTokens(99), 6)
  assert.equal(timeline.hasExactChunks, true)
  assert.equal(timeline.text, 'ab')
})

test('running usage on the chunks counts where there are no ids', () => {
  const usage = (tokens: number): object => ({ usage: { prompt_tokens: 5, completion_tokens: tokens } })
  const timeline = timelineOf([completion('a', {}, usage(1)), completion('bcd', {}, usage(4)), completion('', { finish_reason: 'length' }, usage(4))])
  assert.deepEqual([timeline.chunkTimesMs, timeline.chunkTokens], [[10, 20], [1, 3]])
  assert.equal(timeline.hasExactChunks, true)
})

test('without either, chunks with text are marked and the usage at the end counts', () => {
  const timeline = timelineOf([completion('a'), completion('bcd'), completion('', { finish_reason: 'stop' }, { usage: { completion_tokens: 7 } })])
  assert.deepEqual([timeline.chunkTimesMs, timeline.chunkTokens], [[10, 20], [1, 1]])
  assert.equal(timeline.numTokens(7), 7)
  assert.equal(timeline.numTokens(null), 2)
  assert.equal(timeline.hasExactChunks, false)
})

test('a usage that appears on the last chunk only is not taken for a running one', () => {
  const timeline = timelineOf([completion('a'), completion('b', { finish_reason: 'stop' }, { usage: { completion_tokens: 9 } })])
  assert.deepEqual(timeline.chunkTokens, [1, 1])
})

test('chat deltas: the role chunk is no token, reasoning is', () => {
  const delta = (fields: object, finish: string | null = null): object => ({ choices: [{ delta: fields, finish_reason: finish }] })
  const timeline = timelineOf([delta({ role: 'assistant', content: '' }), delta({ reasoning_content: 'hm' }), delta({ content: 'yes' }), delta({}, 'stop')])
  assert.deepEqual(timeline.chunkTimesMs, [20, 30])
  assert.equal(timeline.text, 'hmyes')
  assert.equal(timeline.hasFinished, true)
})

test('an answer that ends at once is timed by its finish', () => {
  const timeline = timelineOf([completion('', { finish_reason: 'stop' })])
  assert.deepEqual([timeline.chunkTimesMs, timeline.chunkTokens], [[10], [0]])
  assert.equal(timeline.numTokens(1), 1)
})

test('events that are no chunk', () => {
  assert.deepEqual(readStreamEvent('[DONE]'), { kind: 'done' })
  assert.deepEqual(readStreamEvent('{"error":{"message":"it broke","code":500}}'), { kind: 'error', message: 'it broke' })
  assert.equal(readStreamEvent('{"choices":').kind, 'error')
  assert.equal(readStreamEvent('null').kind, 'error')
  assert.deepEqual(readStreamEvent('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'), { kind: 'chunk', content: null, usage: { promptTokens: 3, completionTokens: 4 } })
})

test('refusals in every shape have a message', () => {
  assert.equal(refusalMessageOf('{"error":{"message":"too busy"}}'), 'too busy')
  assert.equal(refusalMessageOf('{"message":"plain"}'), 'plain')
  assert.equal(refusalMessageOf('{"error":"short"}'), 'short')
  assert.equal(refusalMessageOf('<html>502</html>\n'), '<html>502</html>')
})
