// The official OpenAI client against the HTTP front door.
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import OpenAI, { AuthenticationError, BadRequestError, ConflictError, InternalServerError, NotFoundError, RateLimitError } from 'openai'
import { ScriptedRouter, helloScript, silentLog } from '../front-door/scripted-router.ts'
import type { FrontDoor } from '../front-door/options.ts'
import { startHttpFrontDoor } from './front-door.ts'

const MODEL = 'tiny/chat'
const encoder = new TextEncoder()

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}

suite('OpenAI client', () => {
  let router: ScriptedRouter
  let door: FrontDoor
  let client: OpenAI

  before(async () => {
    router = new ScriptedRouter()
    door = await startHttpFrontDoor({ router, host: '127.0.0.1', port: 0, apiKey: 'secret', log: silentLog, metrics: () => '', version: '1' })
    client = new OpenAI({ baseURL: `http://127.0.0.1:${door.port}/v1`, apiKey: 'secret', maxRetries: 0 })
  })
  beforeEach(() => {
    router.calls.length = 0
    router.script = helloScript
  })
  after(() => door.close(100))

  test('lists and retrieves models', async () => {
    const models = await client.models.list()
    assert.deepEqual(models.data.map((model) => model.id), [MODEL])
    const model = await client.models.retrieve(MODEL)
    assert.equal((model as unknown as { max_model_len: number }).max_model_len, 2048)
    await assert.rejects(client.models.retrieve('absent'), NotFoundError)
  })

  test('answers a chat completion with usage and fingerprint', async () => {
    const answer = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }], seed: 7, max_completion_tokens: 9 })
    assert.match(answer.id, /^chatcmpl-/)
    assert.equal(answer.object, 'chat.completion')
    assert.deepEqual(answer.choices[0]?.message, { role: 'assistant', content: 'Hello wörld!', refusal: null })
    assert.equal(answer.choices[0]?.finish_reason, 'stop')
    assert.equal(answer.system_fingerprint, 'fp-test')
    assert.deepEqual(answer.usage, { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8, prompt_tokens_details: { cached_tokens: 2 } })
    const [call] = router.calls
    assert.deepEqual(call?.request.input, { kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] })
    assert.equal(call?.request.sampling.seed, 7)
    assert.equal(call?.request.sampling.maxTokens, 9)
    assert.equal(`chatcmpl-${call?.request.requestId}`, answer.id)
  })

  test('streams a chat completion, role first, usage last', async () => {
    const stream = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'Hi' }], stream: true, stream_options: { include_usage: true } })
    const chunks = await collect(stream)
    assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant')
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), 'Hello wörld!')
    assert.deepEqual(chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean), ['stop'])
    const last = chunks.at(-1)
    assert.deepEqual(last?.choices, [])
    assert.equal(last?.usage?.completion_tokens, 3)
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null && chunk.id === last?.id))
    assert.equal(router.calls[0]?.isCancelled, false)
  })

  test('a list of prompts with n > 1 gives one choice per prompt and sample', async () => {
    const answer = await client.completions.create({ model: MODEL, prompt: ['a', 'b'], n: 2, max_tokens: 4 })
    assert.deepEqual(answer.choices.map((choice) => [choice.index, choice.text]), [0, 1, 2, 3].map((index) => [index, 'Hello wörld!']))
    const [first, second] = router.calls
    assert.equal(first?.request.requestId, `${answer.id.slice('cmpl-'.length)}/0`)
    assert.equal(second?.request.requestId, `${answer.id.slice('cmpl-'.length)}/1`)
    assert.equal(answer.usage?.prompt_tokens, 10)
    assert.equal(answer.usage?.completion_tokens, 12)
  })

  test('a streamed list of prompts keeps choices apart', async () => {
    const stream = await client.completions.create({ model: MODEL, prompt: [[1, 2], [3]], stream: true })
    const texts = ['', '']
    for await (const chunk of stream) for (const choice of chunk.choices) texts[choice.index] += choice.text
    assert.deepEqual(texts, ['Hello wörld!', 'Hello wörld!'])
    assert.deepEqual(router.calls.map((call) => call.request.input), [{ kind: 'tokens', tokenIds: [1, 2] }, { kind: 'tokens', tokenIds: [3] }])
    assert.equal(router.calls[0]?.request.sampling.maxTokens, 16)
  })

  test('logprobs have the shapes of both endpoints', async () => {
    const bytes = encoder.encode('Hi')
    const entry = { tokenId: 4, logprob: -0.5, rank: 1, bytes, top: [{ tokenId: 4, logprob: -0.5 }, { tokenId: 9, logprob: -Infinity }], topBytes: [bytes, Uint8Array.of(0xc3)] }
    router.script = (call) => call.accept().delta('Hi', { logprobs: [entry], finish: 'length' }).finish()
    const chat = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'x' }], logprobs: true, top_logprobs: 2 })
    assert.equal(router.calls[0]?.request.sampling.logprobs, 2)
    const content = chat.choices[0]?.logprobs?.content?.[0]
    assert.deepEqual({ token: content?.token, logprob: content?.logprob, bytes: content?.bytes }, { token: 'Hi', logprob: -0.5, bytes: [72, 105] })
    assert.deepEqual(content?.top_logprobs.map((top) => top.logprob), [-0.5, -9999])
    const text = await client.completions.create({ model: MODEL, prompt: 'x', logprobs: 2 })
    assert.deepEqual(text.choices[0]?.logprobs, { text_offset: [0], token_logprobs: [-0.5], tokens: ['Hi'], top_logprobs: [{ 'Hi': -0.5, 'bytes:\\xc3': -9999 }] })
  })

  test('aborting a stream cancels the request', async () => {
    router.script = (call) => call.accept().delta('first')
    const stream = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'Hi' }], stream: true })
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content === 'first') break
    }
    stream.controller.abort()
    await (await router.call()).cancelled()
  })

  test('aborting a plain request cancels it', async () => {
    router.script = (call) => call.accept()
    const controller = new AbortController()
    const answer = client.completions.create({ model: MODEL, prompt: 'x' }, { signal: controller.signal })
    const call = await router.call()
    controller.abort()
    await assert.rejects(answer)
    await call.cancelled()
  })

  test('errors are the classes that the client knows', async () => {
    const ask = (parts: object = {}) => client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'x' }], ...parts })
    await assert.rejects(ask({ temperature: -1 }), (error) => error instanceof BadRequestError && error.param === 'temperature' && error.code === 'invalid_value')
    const cases = [
      ['not_found', NotFoundError, 'model_not_found', 'not_found'], ['already_exists', ConflictError, 'x', 'x'],
      ['unavailable', InternalServerError, 'draining', 'draining'], ['invalid_argument', BadRequestError, 'context_length_exceeded', 'context_length_exceeded'],
    ] as const
    for (const [code, type, expected, reason] of cases) {
      router.script = (call) => call.fail({ code, reason })
      await assert.rejects(ask(), (error) => error instanceof type && error.code === expected)
      await assert.rejects(ask({ stream: true }), (error) => error instanceof type)
    }
    router.script = (call) => call.fail({ code: 'resource_exhausted', reason: 'queue_full', retryAfterMs: 2300 })
    await assert.rejects(ask(), (error) => error instanceof RateLimitError && error.headers.get('retry-after') === '3' && error.headers.get('retry-after-ms') === '2300')
    const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: 'wrong', maxRetries: 0 })
    await assert.rejects(stranger.models.list(), AuthenticationError)
  })

  test('a failure after the first chunk arrives as an error event', async () => {
    router.script = (call) => {
      call.accept().delta('partial')
      setImmediate(() => call.fail({ code: 'internal', message: 'instance died', reason: 'request_quarantined' }))
    }
    const stream = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'x' }], stream: true })
    let text = ''
    await assert.rejects(async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    }, (error) => error instanceof OpenAI.APIError && error.code === 'request_quarantined' && /instance died/.test(error.message))
    assert.equal(text, 'partial')
  })

  test('one failing prompt of a list cancels the others and fails the call', async () => {
    router.script = (call) => {
      if (call.request.requestId.endsWith('/1')) call.fail({ code: 'resource_exhausted' })
      else call.accept()
    }
    await assert.rejects(client.completions.create({ model: MODEL, prompt: ['a', 'b', 'c'] }), RateLimitError)
    assert.equal(router.calls.length, 2)
    assert.equal(router.calls[0]?.isCancelled, true)
  })

  test('a choice that the server cancelled fails the call instead of looking complete', async () => {
    router.script = (call) => call.accept().delta('half', { finish: 'cancelled' }).finish()
    await assert.rejects(client.completions.create({ model: MODEL, prompt: 'x' }), InternalServerError)
    const stream = await client.completions.create({ model: MODEL, prompt: 'x', stream: true })
    await assert.rejects(collect(stream), OpenAI.APIError)
  })
})
