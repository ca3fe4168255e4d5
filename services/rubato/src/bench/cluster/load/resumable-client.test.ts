import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Server, ServerCredentials, status } from '@grpc/grpc-js'
import type { ServerWritableStream } from '@grpc/grpc-js'
import { loadInferencePackage } from '@rubato/rpc'
import { MONOTONIC_CLOCK } from '../../serve/load/clock.ts'
import { loadOptions, planFor } from './drive.ts'
import { ResumableClient } from './resumable-client.ts'

interface Asked {
  readonly requestId: string
  readonly resumeFromIndex?: number
  readonly sampling: { readonly seed: string | number }
}

/** Tokens 100, 101, ... from where the client wants them, up to `until`; then the way it ends. */
interface Script {
  readonly until: number
  readonly end: 'finish' | 'unavailable' | 'invalid' | 'silence'
}

const NUM_TOKENS = 6
const options = loadOptions({ numRequests: 1, concurrency: 1, inputTokens: 4, outputTokens: NUM_TOKENS, seed: 5 })

/** A router that serves its scripts one after another. */
async function scriptedRouter(t: TestContext, scripts: readonly Script[]): Promise<{ readonly address: string; readonly asked: Asked[] }> {
  const asked: Asked[] = []
  const server = new Server()
  server.addService(loadInferencePackage().rubato.v1.Inference.service, {
    Generate: (call: ServerWritableStream<Asked, object>) => {
      const script = scripts[asked.push(call.request) - 1]
      if (script === undefined) return call.emit('error', Object.assign(new Error('no script left'), { code: status.INTERNAL }))
      const end = (): void => {
        if (script.end === 'unavailable' || script.end === 'invalid') call.emit('error', Object.assign(new Error('ended by script'), { code: script.end === 'invalid' ? status.INVALID_ARGUMENT : status.UNAVAILABLE }))
        else if (script.end === 'finish') call.end()
      }
      const send = (index: number): void => {
        if (index >= script.until) return end()
        const isLast = script.end === 'finish' && index === script.until - 1
        call.write({ index: 0, text: 'x', tokenIds: [100 + index], ...(isLast ? { finishReason: 'FINISH_REASON_LENGTH' } : {}) }, () => send(index + 1))
      }
      send(call.request.resumeFromIndex ?? 0)
    },
  })
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))))
  t.after(() => server.forceShutdown())
  return { address: `127.0.0.1:${port}`, asked }
}

type Schedule = (delayMs: number, callback: () => void) => () => void
const never: Schedule = () => () => {}

function clientOf(t: TestContext, addresses: readonly string[], schedule = never): ResumableClient {
  const client = new ResumableClient({ options, clock: MONOTONIC_CLOCK, addresses: () => addresses, runId: 'run', giveUpMs: 60_000, silenceMs: 1000, schedule })
  t.after(() => client.close())
  return client
}

const ask = (client: ResumableClient) => client.generate('m', planFor(options)[0]!, new AbortController().signal)
const whole = Array.from({ length: NUM_TOKENS }, (_, index) => 100 + index)

test('a stream that breaks goes on at the next router from the token after the last', async (t) => {
  const first = await scriptedRouter(t, [{ until: 2, end: 'unavailable' }, { until: NUM_TOKENS, end: 'finish' }])
  const second = await scriptedRouter(t, [{ until: 5, end: 'unavailable' }])
  const client = clientOf(t, [first.address, second.address])
  const answer = await ask(client)
  assert.deepEqual(answer.end, { kind: 'completed' })
  assert.deepEqual(answer.tokenIds, whole)
  assert.deepEqual([first.asked[0], second.asked[0], first.asked[1]].map((asked) => asked?.resumeFromIndex ?? null), [null, 2, 5])
  assert.equal(new Set([...first.asked, ...second.asked].map(({ requestId, sampling }) => `${requestId} ${sampling.seed}`)).size, 1)
  assert.deepEqual(client.counts, { numResumed: 2, numRetried: 0 })
})

test('a router that falls silent is left for another', async (t) => {
  const silent = await scriptedRouter(t, [{ until: 3, end: 'silence' }])
  const sound = await scriptedRouter(t, [{ until: NUM_TOKENS, end: 'finish' }])
  let numArmed = 0
  // Armed at the start and by each of three tokens: the fourth is the silence after the last of them.
  const silentAfterThree: Schedule = (_delayMs, callback) => {
    if (++numArmed === 4) setImmediate(callback)
    return () => {}
  }
  const answer = await ask(clientOf(t, [silent.address, sound.address], silentAfterThree))
  assert.deepEqual(answer.tokenIds, whole)
  assert.equal(sound.asked[0]?.resumeFromIndex, 3)
})

test('what a router refuses for good is not asked again', async (t) => {
  const router = await scriptedRouter(t, [{ until: 0, end: 'invalid' }])
  const { end } = await ask(clientOf(t, [router.address]))
  assert.ok(end.kind === 'failed' && end.message.startsWith('INVALID_ARGUMENT'))
  assert.equal(router.asked.length, 1)
})
