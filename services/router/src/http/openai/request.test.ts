// Request bodies: what is honoured, what is accepted because it asks for nothing, what is refused by name.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { FieldError } from '../../front-door/field-error.ts'
import { ScriptedRouter } from '../../front-door/scripted-router.ts'
import { parseChat, parseCompletion } from './request.ts'
import type { GenerationPlan, RequestSource } from './request.ts'

const source: RequestSource = { router: new ScriptedRouter(), readHeader: () => undefined, requestId: 'r', maxPrompts: 3 }
const MESSAGES = [{ role: 'user', content: 'Hi' }]
const chat = (body: object): GenerationPlan => parseChat({ messages: MESSAGES, ...body }, source)
const completion = (body: object): GenerationPlan => parseCompletion({ prompt: 'x', ...body }, source)
const only = (plan: GenerationPlan) => plan.requests[0]!

function refusedAs(field: string, reason: FieldError['reason']): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof FieldError, String(error))
    assert.deepEqual([error.field, error.reason], [field, reason])
    assert.ok(error.message.includes(`'${field}'`), error.message)
    return true
  }
}

suite('request bodies', () => {
  test('an empty request leaves every choice to the router', () => {
    const { requestId, model, sampling, n, stop, slo, priority, cacheSalt, remainingMs, echo } = only(chat({}))
    assert.deepEqual({ requestId, model, n, stop, slo, priority, cacheSalt, remainingMs, echo }, {
      requestId: 'r', model: 'tiny/chat', n: 1, stop: [], slo: { ttftMs: null, tpotMs: null }, priority: 0, cacheSalt: '', remainingMs: null, echo: false,
    })
    assert.deepEqual(sampling, {
      maxTokens: null, minTokens: 0, temperature: null, topP: null, topK: null, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
      logitBias: [], seed: null, stopTokenIds: [], ignoreEos: false, logprobs: null,
    })
    assert.equal(only(completion({})).sampling.maxTokens, 16)
  })

  test('every sampling field arrives', () => {
    const fields = {
      max_tokens: 9, min_tokens: 2, temperature: 0, top_p: 0.5, top_k: -1, min_p: 0.1, presence_penalty: -2, frequency_penalty: 2, repetition_penalty: 1.1,
      logit_bias: { '7': -100 }, seed: 2 ** 53 - 1, stop: 'END', stop_token_ids: [3], ignore_eos: true, n: 16, priority: -5, cache_salt: 's', slo: { tpot_ms: 20 }, echo: true,
    }
    const request = only(completion(fields))
    assert.deepEqual(request.sampling, {
      maxTokens: 9, minTokens: 2, temperature: 0, topP: 0.5, topK: 0, minP: 0.1, presencePenalty: -2, frequencyPenalty: 2, repetitionPenalty: 1.1,
      logitBias: [[7, -100]], seed: 2 ** 53 - 1, stopTokenIds: [3], ignoreEos: true, logprobs: null,
    })
    const { stop, n, priority, cacheSalt, slo, echo } = request
    assert.deepEqual({ stop, n, priority, cacheSalt, slo, echo }, { stop: ['END'], n: 16, priority: -5, cacheSalt: 's', slo: { ttftMs: null, tpotMs: 20 }, echo: true })
  })

  test('values out of range or of the wrong type name their field', () => {
    const bad: readonly (readonly [string, unknown])[] = [
      ['model', 3], ['max_tokens', 0], ['max_tokens', 1.5], ['max_tokens', '9'], ['max_completion_tokens', -1], ['min_tokens', -1], ['temperature', -0.1], ['temperature', Infinity], ['temperature', 'hot'],
      ['top_p', 0], ['top_p', 1.01], ['top_k', -2], ['top_k', 0.5], ['min_p', 2], ['presence_penalty', 2.1], ['frequency_penalty', '0'], ['repetition_penalty', 0],
      ['logit_bias', { a: 1 }], ['logit_bias', { 1: 101 }], ['logit_bias', [1]], ['seed', -1], ['seed', 2 ** 53], ['stop', ''], ['stop', Array(17).fill('a')], ['stop', ['a', '']],
      ['stop_token_ids', [-1]], ['ignore_eos', 1], ['n', 0], ['n', 17], ['priority', 0.5], ['cache_salt', ''], ['stream', 'yes'], ['return_token_ids', 1], ['stream_options', true],
    ]
    for (const [field, value] of bad) assert.throws(() => chat({ [field]: value }), refusedAs(field, 'invalid_value'), `${field} = ${String(value)}`)
    assert.throws(() => chat({ slo: { ttft_ms: 0 } }), refusedAs('slo.ttft_ms', 'invalid_value'))
    assert.throws(() => chat({ slo: { ttft: 5 } }), refusedAs('slo.ttft', 'unknown_parameter'))
    assert.throws(() => chat({ min_tokens: 5, max_tokens: 4 }), refusedAs('min_tokens', 'invalid_value'))
    assert.throws(() => chat({ max_tokens: 5, max_completion_tokens: 4 }), refusedAs('max_tokens', 'invalid_value'))
    assert.throws(() => completion({ request_id: 'a b' }), refusedAs('request_id', 'invalid_value'))
  })

  test('null means the default for every field', () => {
    const nulls = Object.fromEntries(['temperature', 'stop', 'n', 'logit_bias', 'stream_options', 'tools', 'response_format', 'prediction', 'suffix', 'slo'].map((name) => [name, null]))
    assert.deepEqual(chat(nulls), chat({}))
    assert.deepEqual(chat({ stream: true, stream_options: { include_usage: null } }), chat({ stream: true }))
  })

  test('fields that ask for nothing are accepted', () => {
    const harmless = {
      user: 'u', store: false, metadata: { a: 'b' }, service_tier: 'auto', tools: [], tool_choice: 'none', parallel_tool_calls: true, response_format: { type: 'text' }, modalities: ['text'],
      reasoning_effort: 'none', best_of: 2, n: 2, use_beam_search: false, length_penalty: 1, skip_special_tokens: true, add_special_tokens: false, prompt_cache_key: 'k', safety_identifier: 's',
    }
    assert.deepEqual(chat(harmless), chat({ n: 2 }))
    assert.deepEqual(completion({ suffix: '', best_of: 1, add_special_tokens: true }), completion({}))
  })

  test('fields that ask for what is not built are refused by name', () => {
    const asking = {
      store: true, tools: [{ type: 'function' }], tool_choice: 'required', response_format: { type: 'json_object' }, reasoning_effort: 'high', best_of: 3, use_beam_search: true,
      skip_special_tokens: false, prompt_logprobs: 1, audio: {}, prediction: {}, modalities: ['audio'], service_tier: 'flex', guided_json: '{}', suffix: 'end', echo: true,
    }
    for (const [field, value] of Object.entries(asking)) assert.throws(() => chat({ [field]: value }), refusedAs(field, 'unsupported_parameter'), field)
    assert.throws(() => completion({ echo: true, logprobs: 0 }), refusedAs('echo', 'unsupported_parameter'))
  })

  test('unknown fields are refused, whatever they are called', () => {
    for (const field of ['max_token', 'constructor', 'hasOwnProperty', 'toString']) assert.throws(() => chat({ [field]: 1 }), refusedAs(field, 'unknown_parameter'))
    const hidden = JSON.parse('{"messages":[{"role":"user","content":"x"}],"__proto__":{"n":3}}') as Record<string, unknown>
    assert.throws(() => parseChat(hidden, source), refusedAs('__proto__', 'unknown_parameter'))
    assert.throws(() => completion({ messages: MESSAGES }), refusedAs('messages', 'unknown_parameter'))
  })

  test('prompts in all four forms, and wrong ones by position', () => {
    const inputs = (prompt: unknown) => parseCompletion({ prompt }, source).requests.map((request) => [request.requestId, request.input])
    assert.deepEqual(inputs('a'), [['r', { kind: 'text', text: 'a' }]])
    assert.deepEqual(inputs(['a']), [['r', { kind: 'text', text: 'a' }]])
    assert.deepEqual(inputs([1, 2]), [['r', { kind: 'tokens', tokenIds: [1, 2] }]])
    assert.deepEqual(inputs([[1], [2]]), [['r/0', { kind: 'tokens', tokenIds: [1] }], ['r/1', { kind: 'tokens', tokenIds: [2] }]])
    for (const [prompt, field] of [[[], 'prompt'], [3, 'prompt'], [['a', 3], 'prompt[1]'], [[[1], []], 'prompt[1]'], [[1, 'a'], 'prompt'], [[1.5], 'prompt'], [['a', 'b', 'c', 'd'], 'prompt']] as const) {
      assert.throws(() => inputs(prompt), refusedAs(field, 'invalid_value'))
    }
    assert.throws(() => parseCompletion({}, source), refusedAs('prompt', 'missing_required_parameter'))
  })

  test('messages: text parts are joined, everything else is refused by its path', () => {
    const parts = [{ type: 'text', text: 'a' }, { type: 'text', text: 'b' }]
    const given = [{ role: 'developer', content: 's' }, { role: 'user', content: parts, name: 'Ann' }, { role: 'assistant', content: 'c', refusal: null, tool_calls: [], annotations: [] }, { role: 'tool', content: 'd', tool_call_id: 't' }]
    assert.deepEqual(only(parseChat({ messages: given }, source)).input, {
      kind: 'chat',
      messages: [{ role: 'developer', content: 's' }, { role: 'user', content: 'a\nb', name: 'Ann' }, { role: 'assistant', content: 'c' }, { role: 'tool', content: 'd' }],
    })
    const cases: readonly (readonly [unknown, string, FieldError['reason']])[] = [
      [[], 'messages', 'invalid_value'], ['Hi', 'messages', 'invalid_value'], [[3], 'messages[0]', 'invalid_value'],
      [[{ role: 'user', content: 'a' }, { role: 'bot', content: 'b' }], 'messages[1].role', 'invalid_value'],
      [[{ role: 'user' }], 'messages[0].content', 'missing_required_parameter'],
      [[{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }], 'messages[0].content[0].type', 'unsupported_parameter'],
      [[{ role: 'user', content: [{ type: 'text', text: 3 }] }], 'messages[0].content[0].text', 'invalid_value'],
      [[{ role: 'assistant', content: 'x', tool_calls: [{}] }], 'messages[0].tool_calls', 'unsupported_parameter'],
      [[{ role: 'user', content: 'x', mood: 'good' }], 'messages[0].mood', 'unknown_parameter'],
      [[{ role: 'user', content: 'x', name: 3 }], 'messages[0].name', 'invalid_value'],
    ]
    for (const [messages, field, reason] of cases) assert.throws(() => parseChat({ messages }, source), refusedAs(field, reason))
  })

  test('logprobs of both endpoints, and stream options only with a stream', () => {
    assert.equal(only(completion({ logprobs: 0 })).sampling.logprobs, 0)
    assert.equal(only(chat({ logprobs: true })).sampling.logprobs, 0)
    assert.equal(only(chat({ logprobs: true, top_logprobs: 20 })).sampling.logprobs, 20)
    assert.equal(only(chat({ logprobs: false })).sampling.logprobs, null)
    assert.throws(() => chat({ top_logprobs: 2 }), refusedAs('top_logprobs', 'invalid_value'))
    assert.throws(() => chat({ logprobs: 2 }), refusedAs('logprobs', 'invalid_value'))
    assert.throws(() => completion({ logprobs: 21 }), refusedAs('logprobs', 'invalid_value'))
    assert.throws(() => completion({ stream_options: { include_usage: true } }), refusedAs('stream_options', 'invalid_value'))
    assert.equal(completion({ stream: true, stream_options: { include_usage: true, include_obfuscation: false } }).includeUsage, true)
    assert.throws(() => completion({ stream: true, stream_options: { include_obfuscation: true } }), refusedAs('stream_options.include_obfuscation', 'invalid_value'))
  })

  test('a model may be left out only where one is served', () => {
    const router = new ScriptedRouter()
    router.cards = [...router.cards, { id: 'second', maxModelLen: 1, createdS: 0 }]
    assert.throws(() => parseCompletion({ prompt: 'x' }, { ...source, router }), refusedAs('model', 'missing_required_parameter'))
  })
})
