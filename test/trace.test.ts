// One trace per request, across processes: what a collector such as Jaeger's is sent, and what logs say of the same request.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { startNatsServer, startOtlpCollector } from '@rubato/testing'
import type { CollectedSpan, OtlpCollector } from '@rubato/testing'
import { until } from './support/cluster.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const UNSAMPLED_TRACE_ID = '1af7651916cd43dd8448eb211c80319d'
const CLIENT_SPAN_ID = 'b7ad6b7169203331'
/** Nowhere but in the prompt and the stop strings. */
const SECRET = /zanzibar/i
const PROMPT = `${'Upon the heath at Zanzibar we met. '.repeat(24)}ROMEO:\n`
const STEP_MS = 8

interface Cluster {
  readonly services: readonly Service[]
  readonly router: Service
  readonly decode: Service
}

/** `flags` are for every process. */
async function startCluster(t: TestContext, collector: OtlpCollector, flags: readonly string[]): Promise<Cluster> {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url, modelFlags: ['--max-model-len', '1024', '--engine', `synthetic:${STEP_MS}`, ...flags] })
  const traced = ['--otlp-traces-endpoint', collector.url]
  const [router, prefill, decode] = await Promise.all([services.router('r1', [...traced, '--placement', 'disaggregated']), services.prefill('p1', traced), services.decode('d1', traced)])
  await until(async () => {
    const metrics = await (await fetch(`${router.http}/metrics`)).text()
    return /^rubato_cluster_instances\{.*role="decode".*state="serving".*\} 1$/m.test(metrics) && /^rubato_cluster_instances\{.*role="prefill".*state="serving".*\} 1$/m.test(metrics)
  })
  return { services: [router, prefill, decode], router, decode }
}

function ask({ http }: Service, fields: object, headers: Readonly<Record<string, string>>): Promise<Response> {
  const body = { prompt: PROMPT, temperature: 0, ignore_eos: true, stop: ['Zanzibar'], ...fields }
  return fetch(`${http}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
}

/** Every span of the trace has its parent in it, but for the one whose parent is `rootParent`. */
function assertOneTree(spans: readonly CollectedSpan[], rootParent: string | null): CollectedSpan {
  const ids = new Set(spans.map(({ spanId }) => spanId))
  assert.equal(ids.size, spans.length)
  const [root, ...others] = spans.filter(({ parentSpanId }) => parentSpanId === null || !ids.has(parentSpanId))
  assert.deepEqual(others, [])
  assert.equal(root?.parentSpanId, rootParent)
  return root!
}

const named = (spans: readonly CollectedSpan[], name: string): CollectedSpan[] => spans.filter((span) => span.name === name)

/** Clocks of processes agree to a fraction of this on one machine. */
const CLOCK_SLACK_MS = 20

function assertWithin(inner: CollectedSpan, outer: CollectedSpan): void {
  assert.ok(inner.startMs >= outer.startMs - CLOCK_SLACK_MS && inner.endMs <= outer.endMs + CLOCK_SLACK_MS, `${inner.name} lies within ${outer.name}`)
}

test('a request that two instances serve is one tree under its client\'s span, every stage named by the service that did it, and no text of it anywhere', async (t) => {
  const collector = await startOtlpCollector()
  t.after(() => collector.close())
  const { services, router } = await startCluster(t, collector, ['--log-level', 'debug'])
  const answer = await ask(router, { max_tokens: 20, n: 2 }, { traceparent: `00-${TRACE_ID}-${CLIENT_SPAN_ID}-01`, 'x-request-id': 'traced-1' })
  assert.equal(answer.status, 200)
  await answer.text()
  // Its client does not sample it.
  const unsampled = await ask(router, { max_tokens: 2 }, { traceparent: `00-${UNSAMPLED_TRACE_ID}-${CLIENT_SPAN_ID}-00` })
  assert.equal(unsampled.status, 200)
  // What the door refuses is told without repeating it.
  assert.equal((await ask(router, { max_tokens: 'Zanzibar' }, {})).status, 400)
  assert.equal((await ask(router, { max_tokens: 4000 }, {})).status, 400)
  for (const service of services) assert.equal(await service.stop(), 0)

  const spans = collector.spans.filter(({ traceId }) => traceId === TRACE_ID)
  const request = assertOneTree(spans, CLIENT_SPAN_ID)
  assert.deepEqual([request.name, request.serviceName, request.instanceId, request.kind, request.error], ['router.request', 'rubato-router', 'r1', 2, null])
  const { 'gen_ai.usage.input_tokens': inputTokens, ...attributes } = request.attributes
  assert.ok(Number(inputTokens) > 2 * 128)
  assert.deepEqual(attributes, {
    'gen_ai.operation.name': 'text_completion', 'gen_ai.request.model': 'shakespeare-target', 'gen_ai.usage.output_tokens': 40, 'gen_ai.response.finish_reasons': 'length,length',
    'rubato.request_id': 'traced-1', 'rubato.recoveries': 0, 'rubato.disaggregated': true,
  })
  const [dispatch, ...moreDispatches] = named(spans, 'router.dispatch')
  assert.deepEqual(moreDispatches, [])
  assert.equal(dispatch?.parentSpanId, request.spanId)
  const stages = spans.filter(({ serviceName }) => serviceName !== 'rubato-router')
  for (const stage of stages) assert.equal(stage.parentSpanId, dispatch?.spanId)
  for (const span of spans) assertWithin(span, request)
  const places = new Set(stages.map(({ name, serviceName, instanceId }) => `${name} ${serviceName} ${instanceId}`))
  assert.deepEqual([...places].toSorted(), ['decode.run rubato-decode d1', 'kv.transfer rubato-decode d1', 'prefill.cell rubato-prefill p1', 'prefill.queue rubato-prefill p1'])
  assert.equal(named(spans, 'prefill.cell').length, Math.ceil(Number(inputTokens) / 128))

  assert.ok(collector.spans.every(({ traceId }) => traceId !== UNSAMPLED_TRACE_ID))
  assert.doesNotMatch(JSON.stringify(collector.spans), SECRET)
  for (const service of services) {
    assert.doesNotMatch(service.log(), SECRET)
    assert.match(service.log(), new RegExp(`"trace_id":"${TRACE_ID}"`), service.name)
  }
})

test('a request whose decode instance is killed stays one trace: the loss, and what was done about it, are spans of it', async (t) => {
  const collector = await startOtlpCollector()
  t.after(() => collector.close())
  const { services, router, decode } = await startCluster(t, collector, [])
  const response = await ask(router, { max_tokens: 120, stream: true }, {})
  let text = ''
  let isKilled = false
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (isKilled || text.split('\n\n').length < 10) continue
    isKilled = true
    decode.signal('SIGKILL')
  }
  assert.match(text, /data: \[DONE\]\n\n$/)
  assert.ok(isKilled)
  assert.equal(await decode.exited, 137)
  for (const service of services) if (service !== decode) assert.equal(await service.stop(), 0)

  const [root, ...otherRoots] = named(collector.spans, 'router.request')
  assert.deepEqual(otherRoots, [])
  const spans = collector.spans.filter(({ traceId }) => traceId === root?.traceId)
  assert.equal(assertOneTree(spans, null), root)
  assert.equal(root?.attributes['rubato.recoveries'], 1)
  assert.equal(root?.attributes['gen_ai.usage.output_tokens'], 120)
  const [recover, ...otherRecoveries] = named(spans, 'recover')
  assert.deepEqual(otherRecoveries, [])
  assert.equal(recover?.parentSpanId, root?.spanId)
  assert.equal(recover?.error, null)
  const [first, second, ...otherDispatches] = named(spans, 'router.dispatch').toSorted((a, b) => a.startMs - b.startMs)
  assert.deepEqual(otherDispatches, [])
  for (const dispatch of [first, second]) {
    assert.equal(dispatch?.parentSpanId, root?.spanId)
    assert.ok(spans.some(({ parentSpanId, serviceName }) => parentSpanId === dispatch?.spanId && serviceName === 'rubato-prefill'))
  }
  assertWithin(second!, recover!)
  const after = named(spans, 'decode.run').find(({ parentSpanId }) => parentSpanId === second?.spanId)
  assert.deepEqual([after?.serviceName, after?.instanceId], ['rubato-prefill', 'p1'])
  assertWithin(recover!, root!)
})
