import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientEvent, ClientHandle, ClientRequest, ClientSink, RouterPort } from '@rubato/service-router'
import { LastingRouterPort } from './lasting-router-port.ts'

const MODELS = [{ id: 'm', maxModelLen: 16, createdS: 0 }]
const REQUEST = { requestId: 'q1' } as ClientRequest
const DELTA: ClientEvent = { kind: 'delta', index: 0, text: 'a', tokenIds: [1], logprobs: null, finish: null, stopReason: null }

/** A router whose events the test sends. */
class OneRouter implements RouterPort {
  readonly sinks: ClientSink[] = []
  readonly signals: string[] = []

  submit(_request: ClientRequest, sink: ClientSink): ClientHandle {
    this.sinks.push(sink)
    return { cancel: () => this.signals.push('cancel'), pause: () => this.signals.push('pause'), resume: () => this.signals.push('resume') }
  }

  models = (): typeof MODELS => MODELS
  ready = (): boolean => true
  tokenize = async (): Promise<readonly number[]> => [7]
  detokenize = async (): Promise<string> => 'seven'
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function submitted(port: LastingRouterPort): { readonly heard: ClientEvent[]; readonly handle: ClientHandle } {
  const heard: ClientEvent[] = []
  return { heard, handle: port.submit(REQUEST, (event) => heard.push(event)) }
}

test('requests go to the router there is, and its events come back', async () => {
  const port = new LastingRouterPort(MODELS)
  const router = new OneRouter()
  port.begin(router)
  const { heard, handle } = submitted(port)
  router.sinks[0]!(DELTA)
  handle.pause()
  handle.resume()
  handle.cancel()
  assert.deepEqual([heard, router.signals], [[DELTA], ['pause', 'resume', 'cancel']])
  assert.deepEqual([port.ready(), port.models(), await port.tokenize('m', { kind: 'text', text: 'x' }, true), await port.detokenize('m', [7])], [true, MODELS, [7], 'seven'])
})

test('without a router requests are refused, after submit() returned, and nothing is ready', async () => {
  const port = new LastingRouterPort(MODELS)
  const { heard } = submitted(port)
  assert.deepEqual([heard, port.ready(), port.models()], [[], false, MODELS])
  await nextTurn()
  assert.deepEqual(heard.map((event) => event.kind === 'failed' && event.error.code), ['unavailable'])
  await assert.rejects(port.tokenize('m', { kind: 'text', text: 'x' }, true), { code: 'unavailable', retryable: true })
})

test('a router that ends fails what it relayed, once, and whatever it still says is not heard', () => {
  const port = new LastingRouterPort(MODELS)
  const first = new OneRouter()
  port.begin(first)
  const running = submitted(port)
  const done = submitted(port)
  const finished: ClientEvent = { kind: 'failed', error: { code: 'internal', message: '', field: null, retryAfterMs: null, reason: 'x' } }
  first.sinks[1]!(finished)
  port.end()
  port.end()
  first.sinks[0]!(DELTA)
  assert.deepEqual(running.heard.map((event) => event.kind === 'failed' && event.error.reason), ['router_fenced'])
  assert.deepEqual(done.heard, [finished])
  const second = new OneRouter()
  port.begin(second)
  const next = submitted(port)
  second.sinks[0]!(DELTA)
  assert.deepEqual(next.heard, [DELTA])
})
