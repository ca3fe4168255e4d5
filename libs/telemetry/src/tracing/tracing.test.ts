// Spans over a real connection to a collector that is there, busy, wrong or gone.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { test } from 'node:test'
import { childContext } from '@rubato/actor'
import type { EffectRun, SpanRecord } from '@rubato/actor'
import { InvalidArgument } from '@rubato/config'
import { startOtlpCollector } from '@rubato/testing'
import { DISCARD_SPANS, startTracing } from './tracing.ts'
import type { Tracing, TracingOptions } from './tracing.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const WALL_ORIGIN_MS = 1_700_000_000_000

function spanOf(overrides: Partial<SpanRecord> = {}): SpanRecord {
  return { traceId: TRACE_ID, spanId: 'b7ad6b7169203331', parentSpanId: null, name: 'router.request', startMs: 10, endMs: 20, attributes: {}, error: null, ...overrides }
}

function start(endpoint: string, options: Partial<TracingOptions> = {}): { tracing: Tracing; problems: string[] } {
  const problems: string[] = []
  const tracing = startTracing({
    serviceName: 'rubato-router', instanceId: 'r1@7f3a', endpoint, wallOriginMs: WALL_ORIGIN_MS, onProblem: (message) => problems.push(message), ...options,
  })
  assert.ok(tracing)
  return { tracing, problems }
}

/** Accepts connections and never answers. */
async function startSilentServer(): Promise<{ server: Server; url: string }> {
  const server = createServer((socket) => socket.resume().on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces` }
}

test('without an endpoint there is no tracing, and spans of others are swallowed', () => {
  assert.equal(startTracing({ serviceName: 's', instanceId: 'i', endpoint: null, onProblem: assert.fail }), null)
  let outcome: unknown = null
  const run = { complete: (settled: unknown) => (outcome = settled) } as unknown as EffectRun
  DISCARD_SPANS['span']!.perform({ kind: 'span', id: 1 }, run)
  assert.deepEqual(outcome, { kind: 'done', value: undefined })
})

test('an endpoint that is no http URL is refused by name', () => {
  for (const endpoint of ['', 'collector:4317', 'grpc://c:4317', 'http://', 'http://a b/', '/v1/traces']) {
    assert.throws(() => start(endpoint), (error) => error instanceof InvalidArgument && error.field === 'otlp-traces-endpoint', endpoint)
  }
})

test('spans arrive with their ids, parents, times, attributes and origin', async () => {
  const collector = await startOtlpCollector()
  const { tracing, problems } = start(collector.url, { headers: { authorization: 'Bearer k' }, resourceAttributes: { 'service.version': '1' } })
  const root = spanOf({ attributes: { 'gen_ai.request.model': 'tiny', tokens: 7, ratio: 0.25, streamed: true } })
  const context = childContext(root, 'decode.run', 0)
  const child = spanOf({ ...context, parentSpanId: root.spanId, name: 'decode.run', startMs: 12.5, endMs: 3_600_012.75, error: 'instance lost' })
  tracing.export(child)
  tracing.export(root)
  await tracing.flush()
  const [first, second] = collector.spans
  assert.deepEqual(second, {
    name: 'router.request', traceId: TRACE_ID, spanId: root.spanId, parentSpanId: null, serviceName: 'rubato-router', instanceId: 'r1@7f3a', kind: 2,
    startMs: WALL_ORIGIN_MS + 10, endMs: WALL_ORIGIN_MS + 20, attributes: root.attributes, error: null,
  })
  assert.deepEqual(
    [first?.spanId, first?.parentSpanId, first?.kind, first?.startMs, first?.endMs, first?.error],
    [context.spanId, root.spanId, 1, WALL_ORIGIN_MS + 12.5, WALL_ORIGIN_MS + 3_600_012.75, 'instance lost'],
  )
  assert.equal(collector.posts[0]?.authorization, 'Bearer k')
  assert.deepEqual(tracing.counts(), { exported: 2, dropped: 0, failed: 0, waiting: 0 })
  assert.deepEqual(problems, [])
  await tracing.close()
  await collector.close()
})

test('by default times are those of the wall clock', async () => {
  const collector = await startOtlpCollector()
  const tracing = startTracing({ serviceName: 's', instanceId: 'i', endpoint: collector.url, onProblem: assert.fail })!
  const beforeMs = Math.floor(performance.timeOrigin + performance.now())
  tracing.export(spanOf({ startMs: performance.now(), endMs: performance.now() }))
  const afterMs = Math.ceil(performance.timeOrigin + performance.now())
  await tracing.close()
  const [span] = collector.spans
  assert.ok(span!.startMs >= beforeMs && span!.endMs <= afterMs)
  await collector.close()
})

test('nothing is lost on close, whatever was under way', async () => {
  const collector = await startOtlpCollector()
  const { tracing, problems } = start(collector.url)
  const numSpans = 3000
  for (let index = 0; index < numSpans; index += 1) tracing.export(spanOf({ spanId: (index + 1).toString(16).padStart(16, '0') }))
  const flushes = [tracing.flush(), tracing.flush()]
  await tracing.close()
  await Promise.all(flushes)
  assert.equal(new Set(collector.spans.map(({ spanId }) => spanId)).size, numSpans)
  assert.equal(collector.spans.length, numSpans)
  tracing.export(spanOf())
  assert.deepEqual(tracing.counts(), { exported: numSpans, dropped: 1, failed: 0, waiting: 0 })
  assert.deepEqual(problems, [])
  await collector.close()
})

test('the span effect completes at once', async () => {
  const collector = await startOtlpCollector()
  const { tracing } = start(collector.url)
  let outcome: unknown = null
  const run = { complete: (settled: unknown) => (outcome = settled) } as unknown as EffectRun
  const effect = { kind: 'span', id: 1, span: spanOf() }
  tracing.spanEffects()['span']!.perform(effect, run)
  assert.deepEqual(outcome, { kind: 'done', value: undefined })
  await tracing.close()
  assert.equal(collector.spans.length, 1)
  await collector.close()
})

test('a collector that hangs costs bounded memory and one report; close keeps its deadline', async () => {
  const { server, url } = await startSilentServer()
  let nowMs = 0
  const { tracing, problems } = start(url, { nowMs: () => nowMs, exportTimeoutMs: 300 })
  const numSpans = 20_000
  for (let index = 0; index < numSpans; index += 1) tracing.export(spanOf())
  const { waiting, dropped } = tracing.counts()
  assert.equal(waiting, 8192)
  assert.equal(dropped, numSpans - 8192)
  assert.equal(problems.length, 1)
  assert.match(problems[0]!, /8192 spans wait/)
  nowMs = 60_000
  tracing.export(spanOf())
  tracing.export(spanOf())
  assert.equal(problems.length, 2)
  nowMs = 120_000
  await tracing.close(20)
  assert.match(problems[2]!, /did not take 8192 spans in time/)
  server.close()
})

test('a collector that is not there costs its spans and one report', async () => {
  const gone = await startOtlpCollector()
  await gone.close()
  const { tracing, problems } = start(gone.url, { exportTimeoutMs: 300 })
  for (let index = 0; index < 1000; index += 1) tracing.export(spanOf())
  await tracing.flush()
  await tracing.close()
  assert.deepEqual(tracing.counts(), { exported: 0, dropped: 0, failed: 1000, waiting: 0 })
  assert.equal(problems.length, 1)
  assert.match(problems[0]!, /cannot export to http:.*ECONNREFUSED.*spans lost so far/)
})

test('a collector that refuses loses what it refused and nothing else', async () => {
  const collector = await startOtlpCollector()
  const { tracing, problems } = start(collector.url)
  collector.answerWith(401)
  tracing.export(spanOf())
  await tracing.flush()
  tracing.export(spanOf())
  await tracing.flush()
  assert.deepEqual(tracing.counts(), { exported: 0, dropped: 0, failed: 2, waiting: 0 })
  assert.equal(problems.length, 1)
  assert.match(problems[0]!, /cannot export to http:.*(401|Unauthorized)/)
  collector.answerWith(200)
  tracing.export(spanOf())
  await tracing.close()
  assert.equal(collector.spans.length, 1)
  await collector.close()
})

test('a span that cannot be encoded is counted as failed', async () => {
  const collector = await startOtlpCollector()
  const { tracing, problems } = start(collector.url)
  tracing.export(spanOf({ attributes: null as unknown as SpanRecord['attributes'], traceId: undefined as unknown as string }))
  await tracing.flush()
  assert.deepEqual(tracing.counts(), { exported: 0, dropped: 0, failed: 1, waiting: 0 })
  assert.equal(problems.length, 1)
  await tracing.close()
  await collector.close()
})
