import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { RubatoError } from '@rubato/config'
import type { PlannedRequest } from '../../dataset/planned-request.ts'
import { MONOTONIC_CLOCK } from '../../load/clock.ts'
import { BENCH_SERVE_DEFAULTS } from '../../options.ts'
import type { BenchServeOptions, SamplingOptions, TargetOptions } from '../../options.ts'
import type { Answer } from '../generate-client.ts'
import { OpenAiClient } from './openai-client.ts'
import { startScriptedServer, streamEvents } from '../scripted-server.ts'
import type { AnswerScript, ScriptedServer } from '../scripted-server.ts'

const REQUEST: PlannedRequest = {
  index: 0, className: 'chat', input: { kind: 'tokens', tokenIds: [17, 18, 19] }, promptTokens: 3, maxTokens: 5, arrivalMs: null, slo: { ttftMs: 200, tpotMs: 12.5, e2elMs: null },
}
const NEVER = new AbortController().signal

function optionsFor(target: Partial<TargetOptions>, sampling: Partial<SamplingOptions> = {}): BenchServeOptions {
  return { ...BENCH_SERVE_DEFAULTS, target: { ...BENCH_SERVE_DEFAULTS.target, ...target }, sampling: { ...BENCH_SERVE_DEFAULTS.sampling, ...sampling } }
}

async function serverFor(t: TestContext, script?: AnswerScript): Promise<ScriptedServer> {
  const server = await startScriptedServer(script)
  t.after(() => server.close())
  return server
}

async function ask(options: BenchServeOptions, request = REQUEST, signal = NEVER): Promise<Answer> {
  const client = new OpenAiClient(options, MONOTONIC_CLOCK)
  try {
    return await client.generate('tiny/scripted', request, signal)
  } finally {
    client.close()
  }
}

const failureOf = (answer: Answer): string => (answer.end.kind === 'failed' ? answer.end.message : assert.fail(`ended ${answer.end.kind}`))

test('a completions answer: times, tokens of usage, text', async (t) => {
  const server = await serverFor(t)
  const answer = await ask(optionsFor({ baseUrl: server.baseUrl }))
  assert.deepEqual(answer.end, { kind: 'completed' })
  assert.deepEqual([answer.outputTokens, answer.promptTokens, answer.text, answer.tokenIds, answer.hasExactChunks], [3, 7, 'to be or', [], false])
  assert.equal(answer.chunkTimesMs.length, 2)
  assert.ok(answer.startMs <= answer.chunkTimesMs[0]! && answer.chunkTimesMs[0]! <= answer.chunkTimesMs[1]! && answer.chunkTimesMs[1]! <= answer.endMs)
})

test('token ids, where asked for, count each chunk', async (t) => {
  const server = await serverFor(t)
  const answer = await ask(optionsFor({ baseUrl: server.baseUrl }, { returnTokenIds: true }))
  assert.deepEqual([answer.chunkTokens, answer.tokenIds, answer.hasExactChunks], [[2, 1], [21, 22, 23], true])
})

test('what is sent: fields of vLLM, headers, targets', async (t) => {
  const server = await serverFor(t)
  const sampling = { topP: 0.9, topK: 5, minP: 0.1, ignoreEos: true, extraBody: { priority: 2, temperature: 0.5 } }
  await ask(optionsFor({ baseUrl: server.baseUrl, endpoint: '/v1/completions', apiKey: 'secret', headers: { 'x-team': 'a' } }, sampling))
  const [asked] = server.asked
  assert.deepEqual(asked?.body, {
    model: 'tiny/scripted', prompt: [17, 18, 19], max_tokens: 5, temperature: 0.5, top_p: 0.9, top_k: 5, min_p: 0.1, ignore_eos: true, stream: true, stream_options: { include_usage: true }, priority: 2,
  })
  assert.equal(asked?.headers.authorization, 'Bearer secret')
  assert.deepEqual(['x-team', 'x-slo-ttft-ms', 'x-slo-tpot-ms'].map((name) => asked?.headers[name]), ['a', '200', '12.5'])
})

test('targets are sent as --send-slo says', async (t) => {
  const server = await serverFor(t)
  const goodput = { ttftMs: null, tpotMs: 33, e2elMs: 9000 }
  const plain = { ...REQUEST, slo: null }
  await ask(optionsFor({ baseUrl: server.baseUrl }, { sendSlo: 'never' }))
  await ask({ ...optionsFor({ baseUrl: server.baseUrl }), goodput }, plain)
  await ask({ ...optionsFor({ baseUrl: server.baseUrl }, { sendSlo: 'always' }), goodput }, plain)
  assert.deepEqual(server.asked.map(({ headers }) => [headers['x-slo-ttft-ms'], headers['x-slo-tpot-ms']]), [[undefined, undefined], [undefined, undefined], [undefined, '33']])
})

test('a chat answer', async (t) => {
  const server = await serverFor(t)
  const target = { baseUrl: server.baseUrl, backend: 'openai-chat' as const, endpoint: '/v1/chat/completions' }
  const answer = await ask(optionsFor(target), { ...REQUEST, input: { kind: 'text', text: 'Who?' } })
  assert.equal(answer.text, 'to be or')
  assert.deepEqual(server.asked[0]?.body['messages'], [{ role: 'user', content: 'Who?' }])
  assert.equal(server.asked[0]?.body['max_completion_tokens'], 5)
})

test('every way to fail is told apart', async (t) => {
  const chunk = { choices: [{ index: 0, text: 'a', finish_reason: null }] }
  const scripts: readonly (readonly [AnswerScript, RegExp])[] = [
    [(res) => res.writeHead(429, { 'content-type': 'application/json' }).end('{"error":{"message":"queue full"}}'), /^HTTP 429: queue full$/],
    [(res) => {
      streamEvents(res, [chunk, { error: { message: 'instance lost' } }])
      res.end()
    }, /^instance lost$/],
    [(res) => {
      streamEvents(res, [chunk])
      res.end()
    }, /without a finish reason/],
    [(res) => {
      streamEvents(res, [chunk])
      setImmediate(() => res.destroy())
    }, /connection lost/],
    [(res) => res.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[]}'), /not a stream/],
  ]
  const server = await serverFor(t, (res, asked, call) => scripts[call]?.[0](res, asked, call))
  for (const [, expected] of scripts) assert.match(failureOf(await ask(optionsFor({ baseUrl: server.baseUrl }))), expected)
  const gone = await startScriptedServer()
  await gone.close()
  assert.match(failureOf(await ask(optionsFor({ baseUrl: gone.baseUrl }))), /connection refused/)
})

test('an abort while the answer streams is an interruption, not a failure', async (t) => {
  const stop = new AbortController()
  const server = await serverFor(t, (res) => {
    streamEvents(res, [{ choices: [{ index: 0, text: 'a', finish_reason: null }] }])
    setImmediate(() => stop.abort())
  })
  const answer = await ask(optionsFor({ baseUrl: server.baseUrl }), REQUEST, stop.signal)
  assert.equal(answer.end.kind, 'interrupted')
})

test('a kept connection that the server closed is asked again on a new one', async (t) => {
  const server = await serverFor(t, (res, asked, call) => {
    if (call !== 1) {
      streamEvents(res, [{ choices: [{ index: 0, text: `${call}`, finish_reason: 'stop' }] }, '[DONE]'])
      res.end()
    } else res.socket?.resetAndDestroy()
  })
  const client = new OpenAiClient(optionsFor({ baseUrl: server.baseUrl }), MONOTONIC_CLOCK)
  t.after(() => client.close())
  const answers = [await client.generate('m', REQUEST, NEVER), await client.generate('m', REQUEST, NEVER)]
  assert.deepEqual(answers.map(({ text, end }) => [text, end.kind]), [['0', 'completed'], ['2', 'completed']])
})

test('models are listed, or the server is named in the error', async (t) => {
  const server = await serverFor(t)
  const client = new OpenAiClient(optionsFor({ baseUrl: server.baseUrl }), MONOTONIC_CLOCK)
  assert.deepEqual(await client.models(NEVER), ['tiny/scripted'])
  client.close()
  const gone = new OpenAiClient(optionsFor({ baseUrl: 'http://127.0.0.1:1' }), MONOTONIC_CLOCK)
  await assert.rejects(gone.models(NEVER), (error: unknown) => error instanceof RubatoError && error.code === 'unavailable' && error.message.includes('127.0.0.1:1'))
  gone.close()
})

test('bytes split in the middle of an event and of a character arrive whole', async (t) => {
  const server = await serverFor(t, (res) => {
    const bytes = Buffer.from('data: {"choices":[{"index":0,"text":"wörld","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    const at = bytes.indexOf(0xc3) + 1
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.write(bytes.subarray(0, at), () => setImmediate(() => res.end(bytes.subarray(at))))
  })
  const answer = await ask(optionsFor({ baseUrl: server.baseUrl }))
  assert.equal(answer.text, 'wörld')
  assert.equal(answer.end.kind, 'completed')
})
