// Streamed and whole answers are the same generation, and writes follow ticks.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { suite, test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { DEFAULT_LIMITS } from '../../front-door/options.ts'
import { ScriptedRouter, silentLog } from '../../front-door/scripted-router.ts'
import type { ScriptedCall } from '../../front-door/scripted-router.ts'
import { sseData, sseEvents } from '../raw-client.ts'
import { generate } from './generate.ts'
import { parseChat, parseCompletion } from './request.ts'
import type { GenerationPlan } from './request.ts'

/** As much of a ServerResponse as an answer touches. Every write is one entry of `writes`. */
class FakeResponse extends EventEmitter {
  readonly writes: string[] = []
  headersSent = false
  destroyed = false
  writableEnded = false
  writableLength = 0
  onTimeout: () => void = () => {}

  writeHead(): void {
    this.headersSent = true
  }
  flushHeaders(): void {}
  write(text: string): boolean {
    this.writes.push(text)
    return true
  }
  end(text: string | Buffer): void {
    this.writes.push(String(text))
    this.writableEnded = true
  }
  setTimeout(_timeoutMs: number, onTimeout: () => void): void {
    this.onTimeout = onTimeout
  }
  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
}

interface ChoiceJson {
  readonly index: number
  readonly text?: string
  readonly message?: { readonly content: string }
  readonly delta?: { readonly content?: string; readonly role?: string }
  readonly finish_reason: string | null
  readonly token_ids?: readonly number[]
}
interface AnswerJson {
  readonly choices: readonly ChoiceJson[]
  readonly usage?: { readonly completion_tokens: number; readonly total_tokens: number } | null
}

const router = new ScriptedRouter(() => {})
const source = { router, readHeader: () => undefined, requestId: 'r"1', maxPrompts: 4 }

function run(plan: GenerationPlan): { res: FakeResponse; call: ScriptedCall } {
  const res = new FakeResponse()
  generate(plan, res as unknown as ServerResponse, { router, limits: DEFAULT_LIMITS, log: silentLog })
  const call = router.calls.at(-1)
  assert.ok(call)
  return { res, call }
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

suite('answers', () => {
  test('chunks joined equal the whole answer, for random splits of random text', async () => {
    const random = seededRandom(testSeed(20_261))
    const alphabet = ['a', ' ', '"', '\\', '\n', '\u2028', 'é', '世', '😀', '\u0000', '</s>', 'data: ']
    for (let round = 0; round < 40; round++) {
      const chat = random.int(2) === 0
      const n = 1 + random.int(3)
      const parse = (stream: boolean) => {
        const body = { n, stream, return_token_ids: true, ...(stream ? { stream_options: { include_usage: true, continuous_usage_stats: random.int(2) === 0 } } : {}) }
        return chat ? parseChat({ ...body, messages: [{ role: 'user', content: 'x' }] }, source) : parseCompletion({ ...body, prompt: 'x' }, source)
      }
      const streamed = run(parse(true))
      const whole = run(parse(false))
      const both = [streamed.call.accept(), whole.call.accept()]
      for (let step = random.int(12); step >= 0; step--) {
        const index = random.int(n)
        const text = Array.from({ length: random.int(4) }, () => random.pick(alphabet)).join('')
        const tokenIds = Array.from({ length: random.int(3) }, () => random.int(50_000))
        for (const call of both) call.delta(text, { index, tokenIds })
        if (random.int(3) === 0) await tick()
      }
      for (let index = 0; index < n; index++) for (const call of both) call.delta('', { index, tokenIds: [], finish: index % 2 === 0 ? 'stop' : 'length' })
      for (const call of both) call.finish()
      await tick()
      const answer = JSON.parse(whole.res.writes.join('')) as AnswerJson
      const data = sseData(streamed.res.writes.join(''))
      assert.equal(data.at(-1), '[DONE]', `seed ${random.seed}`)
      const chunks = data.slice(0, -1).map((item) => JSON.parse(item) as AnswerJson)
      for (const choice of answer.choices) {
        const parts = chunks.flatMap((chunk) => chunk.choices.filter((part) => part.index === choice.index))
        assert.equal(parts.map((part) => part.text ?? part.delta?.content ?? '').join(''), choice.text ?? choice.message?.content, `seed ${random.seed}`)
        assert.deepEqual(parts.flatMap((part) => part.token_ids ?? []), choice.token_ids)
        assert.deepEqual(parts.map((part) => part.finish_reason).filter((reason) => reason !== null), [choice.finish_reason])
        if (chat) assert.deepEqual(parts.map((part) => part.delta?.role).filter((role) => role !== undefined), ['assistant'])
      }
      assert.deepEqual(chunks.at(-1)?.usage, answer.usage)
    }
  })

  test('deltas of one tick leave in one write with one chunk per choice', async () => {
    const { res, call } = run(parseCompletion({ prompt: 'x', n: 2, stream: true }, source))
    call.accept()
    call.delta('a').delta('B', { index: 1 }).delta('b').delta('c')
    await tick()
    assert.equal(res.writes.length, 1)
    const chunks = sseData(res.writes[0] ?? '').map((item) => JSON.parse(item) as AnswerJson)
    assert.deepEqual(chunks.map((chunk) => [chunk.choices[0]?.index, chunk.choices[0]?.text]), [[0, 'abc'], [1, 'B']])
  })

  test('an event\'s id counts the tokens of each choice that the client has with it, those before a resume included', async () => {
    const readHeader = (name: string) => ({ 'last-event-id': '4,0', 'x-request-id': 'r' })[name]
    for (const [resumed, expected] of [[false, ['2,0', '3,1', '3,1']], [true, ['6,0', '7,1', '7,1']]] as const) {
      const { res, call } = run(parseCompletion({ prompt: 'x', n: 2, stream: true }, resumed ? { ...source, readHeader } : source))
      call.accept().delta('a', { tokenIds: [1, 2] })
      await tick()
      // Without text there is no event, and its tokens count with the next.
      call.delta('', { tokenIds: [3] })
      await tick()
      call.delta('b', { index: 1, tokenIds: [9] })
      await tick()
      call.delta('', { finish: 'stop', tokenIds: [] })
      await tick()
      assert.deepEqual(sseEvents(res.writes.join('')).map(({ id }) => id), expected)
    }
    const chat = run(parseChat({ messages: [{ role: 'user', content: 'x' }], stream: true }, source))
    chat.call.accept().delta('a', { tokenIds: [1] })
    await tick()
    assert.deepEqual(sseEvents(chat.res.writes.join('')).map(({ id }) => id), ['0', '1'])
  })

  test('nothing is written before every prompt was accepted', async () => {
    const { res } = run(parseCompletion({ prompt: ['x', 'y'], stream: true }, source))
    const [first, second] = router.calls.slice(-2)
    first?.accept().delta('early')
    await tick()
    assert.equal(res.headersSent, false)
    second?.accept()
    await tick()
    assert.match(res.writes.join(''), /early/)
  })

  test('tokens without text make no chunk unless the client wants token ids', async () => {
    const quiet = run(parseCompletion({ prompt: 'x', stream: true }, source))
    quiet.call.accept().delta('', { tokenIds: [1] })
    const wanted = run(parseCompletion({ prompt: 'x', stream: true, return_token_ids: true }, source))
    wanted.call.accept().delta('', { tokenIds: [1] })
    await tick()
    assert.deepEqual(quiet.res.writes, [])
    assert.match(wanted.res.writes.join(''), /"token_ids":\[1\]/)
  })

  test('a quiet connection is a stall only while something is queued', async () => {
    const { res, call } = run(parseCompletion({ prompt: 'x', stream: true }, source))
    call.accept()
    res.onTimeout()
    assert.deepEqual([call.isCancelled, res.destroyed], [false, false])
    res.writableLength = 1
    res.onTimeout()
    assert.deepEqual([call.isCancelled, res.destroyed], [true, true])
    call.delta('too late').finish()
    await tick()
    assert.deepEqual(res.writes, [])
  })
})
