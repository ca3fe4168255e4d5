// The official OpenAI client against a real cluster: the bundled model, the real engine, HTTP on a free port.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import OpenAI, { BadRequestError, NotFoundError, RateLimitError } from 'openai'
import type { APIError } from 'openai'
import type { EmbeddedCluster } from '@rubato/service-rubato'
import { isIdle, startCluster, until } from './support/cluster.ts'

const MODEL = 'shakespeare-target'

function clientOf(cluster: EmbeddedCluster): OpenAI {
  return new OpenAI({ baseURL: `http://127.0.0.1:${cluster.httpPort}/v1`, apiKey: 'none', maxRetries: 0 })
}

async function served(t: TestContext, overrides = {}): Promise<{ cluster: EmbeddedCluster; client: OpenAI }> {
  const cluster = await startCluster(t, overrides)
  return { cluster, client: clientOf(cluster) }
}

suite('the openai client', () => {
  test('lists the model and completes with the tokens that the reference names', async (t) => {
    const { client } = await served(t)
    const models = await client.models.list()
    assert.deepEqual(models.data.map(({ id }) => id), [MODEL])
    const answer = await client.completions.create({ model: MODEL, prompt: 'ROMEO:\nWhat say you to my suit?\n\nJULIET:\n', max_tokens: 32, temperature: 0 })
    assert.equal(answer.choices[0]?.text, 'I am a fool.\n\nJULIET:\nI am a fool.\n\nJULIET:\nI am a fool.\n')
    assert.equal(answer.choices[0]?.finish_reason, 'length')
    assert.deepEqual([answer.usage?.prompt_tokens, answer.usage?.completion_tokens], [16, 32])
  })

  test('streams exactly the text that it returns in one piece, and usage when asked', async (t) => {
    const { client } = await served(t)
    const request = { model: MODEL, messages: [{ role: 'user' as const, content: 'What is the news from Rome?' }], max_tokens: 48, seed: 11, temperature: 0.9 }
    const whole = await client.chat.completions.create(request)
    const stream = await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })
    let text = ''
    let usage: OpenAI.CompletionUsage | null = null
    let finish: string | null = null
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      finish = chunk.choices[0]?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }
    assert.equal(text, whole.choices[0]?.message.content)
    assert.equal(finish, whole.choices[0]?.finish_reason)
    assert.equal(usage?.completion_tokens, whole.usage?.completion_tokens)
    assert.ok(text.length > 0)
  })

  test('n choices share the prompt, differ from each other, and each equals itself alone in any batch', async (t) => {
    const { cluster, client } = await served(t)
    const request = { model: MODEL, prompt: 'KING HENRY:\nOnce more unto the breach, dear friends', max_tokens: 24, seed: 5, temperature: 1 }
    const three = await client.completions.create({ ...request, n: 3 })
    const again = await Promise.all(Array.from({ length: 6 }, () => client.completions.create({ ...request, n: 3 })))
    for (const other of again) assert.deepEqual(other.choices.map(({ text }) => text), three.choices.map(({ text }) => text))
    assert.equal(new Set(three.choices.map(({ text }) => text)).size, 3)
    assert.equal((await client.completions.create(request)).choices[0]?.text, three.choices[0]?.text)
    await until(() => isIdle(cluster))
  })

  test('a second question with the same long prefix hits the cache and changes nothing', async (t) => {
    const { client } = await served(t)
    const prompt = 'To be, or not to be, that is the question. '.repeat(20)
    const request = { model: MODEL, prompt, max_tokens: 16, temperature: 0 }
    const first = await client.completions.create(request)
    const second = await client.completions.create(request)
    assert.equal(first.usage?.prompt_tokens_details?.cached_tokens, 0)
    assert.ok((second.usage?.prompt_tokens_details?.cached_tokens ?? 0) >= 128)
    assert.equal(second.choices[0]?.text, first.choices[0]?.text)
  })

  test('stop strings end the text before them, and logprobs name the chosen tokens', async (t) => {
    const { client } = await served(t)
    const request = { model: MODEL, prompt: 'ROMEO:\nWhat say you to my suit?\n\nJULIET:\n', max_tokens: 32, temperature: 0 }
    const stopped = await client.completions.create({ ...request, stop: ['fool'] })
    assert.equal(stopped.choices[0]?.text, 'I am a ')
    assert.equal(stopped.choices[0]?.finish_reason, 'stop')
    const { choices } = await client.completions.create({ ...request, max_tokens: 4, logprobs: 2 })
    assert.equal(choices[0]?.logprobs?.tokens?.join(''), choices[0]?.text)
    for (const logprob of choices[0]?.logprobs?.token_logprobs ?? []) assert.ok(logprob <= 0 && logprob > -5)
  })

  test('an aborted stream frees everything it held', async (t) => {
    const { cluster, client } = await served(t)
    const stream = await client.completions.create({ model: MODEL, prompt: 'MACBETH:\n', max_tokens: 900, stream: true, ignore_eos: true } as never) as unknown as AsyncIterable<unknown> & { controller: AbortController }
    let chunks = 0
    for await (const _ of stream) if (++chunks === 3) break
    await until(() => isIdle(cluster))
    assert.equal(cluster.routerActor.snapshot().models[0]?.stats.requestsByOutcome.cancelled, 1)
  })

  test('a client that leaves while its prompt is computed leaves nothing behind', async (t) => {
    const { cluster, client } = await served(t)
    const gone = new AbortController()
    const tokens = Array.from({ length: 1000 }, (_, i) => 100 + (i % 900))
    const answer = client.completions.create({ model: MODEL, prompt: tokens, max_tokens: 8 }, { signal: gone.signal })
    const fleet = (): number => cluster.routerActor.snapshot().models[0]!.fleet.numRunning + cluster.routerActor.snapshot().models[0]!.numRunning
    await until(() => fleet() > 0)
    gone.abort()
    await assert.rejects(answer)
    await until(() => isIdle(cluster))
    assert.equal(cluster.routerActor.snapshot().models[0]?.stats.generationTokensTotal, 0)
  })

  test('500 clients at once all get their answer', async (t) => {
    const { cluster, client } = await served(t, { queueSize: 1000 })
    const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => client.completions.create({ model: MODEL, prompt: [200 + i], max_tokens: 2, temperature: 0 })))
    assert.ok(answers.every(({ usage }) => usage?.completion_tokens === 2 || usage?.completion_tokens === 1))
    await until(() => isIdle(cluster))
  })

  test('bad input is refused with the class, the field and the reason', async (t) => {
    const { cluster, client } = await served(t)
    const refused = async (body: object, expected: RegExp, field: string | null, type: abstract new (...args: never) => APIError = BadRequestError): Promise<void> => {
      await assert.rejects(client.completions.create({ model: MODEL, prompt: 'x', ...body } as never), (error: APIError) => {
        assert.ok(error instanceof type, `${error}`)
        assert.match(error.message, expected)
        if (field !== null) assert.equal(error.param, field)
        return true
      })
    }
    await refused({ model: 'gpt-5' }, /gpt-5/, 'model', NotFoundError)
    await refused({ prompt: '' }, /no tokens/, 'prompt')
    await refused({ prompt: 'word '.repeat(2000) }, /\d+ tokens.*1024/, 'prompt')
    await refused({ max_tokens: 0 }, /max_tokens/, 'max_tokens')
    await refused({ max_tokens: -3 }, /max_tokens/, 'max_tokens')
    await refused({ temperature: -1 }, /temperature/, 'temperature')
    await refused({ top_p: 0 }, /top_p/, 'top_p')
    await refused({ top_p: 1.5 }, /top_p/, 'top_p')
    await refused({ stop: Array.from({ length: 17 }, (_, i) => `s${i}`) }, /16/, 'stop')
    await refused({ prompt: '\ud800' }, /surrogate/i, 'prompt')
    await refused({ nonsense: 1 }, /nonsense/, 'nonsense')
    assert.ok(isIdle(cluster))
  })

  test('a full house is refused with 429 and a hint when to come back, and what it accepted is finished', async (t) => {
    const { client } = await served(t, { maxConcurrentRequests: 1, queueSize: 1 })
    const request = { model: MODEL, prompt: 'LEAR:\n', max_tokens: 200, temperature: 0 }
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => client.completions.create(request)))
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as APIError] : []))
    assert.equal(results.length - refused.length, 2)
    for (const error of refused) {
      assert.ok(error instanceof RateLimitError)
      assert.ok(Number(error.headers?.get('retry-after')) >= 1)
    }
  })
})
