import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pairing } from './fixtures/least-loaded.ts'
import { codes, finishOf, Rig } from './fixtures/router-rig.ts'
import type { RequestOverrides } from './fixtures/router-rig.ts'

const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', parentSpanId: '00f067aa0ba902b7' }

function traced(request: RequestOverrides = {}): { rig: Rig; client: number } {
  const rig = new Rig({ dispatch: pairing })
  rig.load('p', { role: 'prefill', kvAddress: 'h:1' })
  rig.load('d', { role: 'decode', kvAddress: 'h:2' })
  return { rig, client: rig.submit(request, TRACE) }
}

const summary = (rig: Rig): unknown[] => rig.spans.map(({ name, startMs, endMs, error }) => [name, startMs - 1000, endMs - 1000, error])

test('a traced request: its own span under the client\'s, one per dispatch under it, which the instance\'s go under', () => {
  const { rig } = traced({ n: 2 })
  rig.advance(30)
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.advance(20)
  rig.tokens('r1', { sequence: 1, tokenIds: codes('B'), finish: finishOf('stop', 0) })
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('C'), finish: finishOf('length') })
  assert.deepEqual(summary(rig), [['router.dispatch', 0, 30, null], ['router.request', 0, 50, null]])
  const [dispatch, request] = rig.spans
  assert.deepEqual([request!.traceId, request!.spanId, request!.parentSpanId, dispatch!.traceId, dispatch!.parentSpanId], [TRACE.traceId, TRACE.spanId, TRACE.parentSpanId, TRACE.traceId, TRACE.spanId])
  assert.deepEqual(rig.generates('r1')[0]!.payload.trace, { traceId: dispatch!.traceId, spanId: dispatch!.spanId })
  assert.deepEqual(dispatch!.attributes, { 'rubato.instance': 'p', 'rubato.decode_instance': 'd', 'rubato.forecast_ttft_ms': 12, 'rubato.forecast_tpot_ms': 3 })
  assert.deepEqual(request!.attributes, {
    'gen_ai.operation.name': 'text_completion', 'gen_ai.request.model': 'tiny', 'gen_ai.usage.input_tokens': 2, 'gen_ai.usage.output_tokens': 3,
    'gen_ai.response.finish_reasons': 'length,stop', 'rubato.request_id': 'r1', 'rubato.recoveries': 0, 'rubato.disaggregated': true,
  })
})

test('a loss: its dispatch ends, and a recover span lasts until the next token', () => {
  const { rig } = traced()
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.advance(10)
  rig.report({ kind: 'gone', instanceId: 'p', incarnation: 1, reason: 'crash' })
  rig.advance(40)
  rig.report({ kind: 'gone', instanceId: 'd', incarnation: 1, reason: 'crash' })
  rig.advance(50)
  rig.load('p', { role: 'prefill', incarnation: 2 })
  rig.advance(60)
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B'), finish: finishOf('length') }, { incarnation: 2 })
  assert.deepEqual(summary(rig), [
    ['router.dispatch', 0, 0, null], ['router.dispatch', 10, 50, 'crash'], ['router.dispatch', 100, 160, null], ['recover', 10, 160, null], ['router.request', 0, 160, null],
  ])
  assert.equal(new Set(rig.spans.map(({ spanId }) => spanId)).size, 5)
  assert.equal(rig.spans.at(-1)!.attributes['rubato.recoveries'], 2)
})

const FAILURES: readonly (readonly [string, string, (rig: Rig, client: number) => void])[] = [
  ['a cancel', 'cancelled', (rig, client) => rig.receive({ kind: 'cancel', clientId: client })],
  ['a deadline', 'deadline_exceeded', (rig) => rig.advance(300)],
]
for (const [what, error, end] of FAILURES) {
  test(`${what} ends every open span with its reason`, () => {
    const { rig, client } = traced({ remainingMs: 300 })
    end(rig, client)
    assert.deepEqual(rig.spans.map((span) => [span.name, span.error]), [['router.dispatch', error], ['router.request', error]])
  })
}

test('a request without a trace makes no span, whatever happens to it', () => {
  const rig = new Rig()
  rig.load('a')
  rig.submit()
  rig.tokens('r1', { tokenIds: codes('A') })
  rig.load('a', { incarnation: 2 })
  rig.tokens('r1', { firstIndex: 1, tokenIds: codes('B'), finish: finishOf('length') }, { incarnation: 2 })
  assert.deepEqual(rig.spans, [])
  assert.equal(rig.generates('r1')[0]!.payload.trace, null)
})
