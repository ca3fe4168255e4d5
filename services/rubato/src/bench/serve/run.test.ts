// Whole runs against Rubato's own front doors and against a scripted server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { RubatoError } from '@rubato/config'
import { startGrpcFrontDoor, startHttpFrontDoor } from '@rubato/service-router'
import type { ClientRequest, ClientSink, RouterPort } from '@rubato/service-router'
import { answerThreeTokens, startScriptedServer, streamEvents } from './client/scripted-server.ts'
import type { AnswerScript, ScriptedServer } from './client/scripted-server.ts'
import { BENCH_SERVE_DEFAULTS } from './options.ts'
import type { BackendName, BenchServeOptions, DatasetOptions, TargetOptions } from './options.ts'
import type { BenchServeReport } from './report/report.ts'
import { arrivalsOf, runBenchServe } from './run.ts'

const TIMING = { queueMs: 0, prefillMs: 0, ttftMs: 0, tpotMs: null, acceptedDraftTokens: 0, migrations: 0, recoveries: 0 }
const silentLog = { info: () => {}, warn: () => {}, error: () => {} }

/** Answers with maxTokens tokens 100, 101, ... in deltas of up to two; refuses prompts of 5 tokens. */
class CountingRouter implements RouterPort {
  readonly requests: ClientRequest[] = []

  submit(request: ClientRequest, sink: ClientSink): { cancel(): void; pause(): void; resume(): void } {
    this.requests.push(request)
    if (request.input.kind === 'tokens' && request.input.tokenIds.length === 5) {
      sink({ kind: 'failed', error: { code: 'resource_exhausted', message: 'queue full', field: null, retryAfterMs: 10, reason: 'queue_full' } })
    } else this.#answer(request.sampling.maxTokens ?? 1, sink)
    return { cancel: () => {}, pause: () => {}, resume: () => {} }
  }

  #answer(count: number, sink: ClientSink): void {
    sink({ kind: 'accepted', promptTokens: 9 })
    const step = (from: number): void => {
      const tokenIds = Array.from({ length: Math.min(2, count - from) }, (_, index) => 100 + from + index)
      const isLast = from + tokenIds.length >= count
      sink({ kind: 'delta', index: 0, text: 'ab', tokenIds, logprobs: null, finish: isLast ? 'length' : null, stopReason: null })
      if (!isLast) setImmediate(step, from + tokenIds.length)
      else sink({ kind: 'finished', usage: { promptTokens: 9, cachedTokens: 0, completionTokens: count }, timing: TIMING, systemFingerprint: 'fp' })
    }
    setImmediate(step, 0)
  }

  models = (): { id: string; maxModelLen: number; createdS: number }[] => [{ id: 'tiny', maxModelLen: 512, createdS: 0 }]
  ready = (): boolean => true
  tokenize = (): Promise<number[]> => Promise.resolve([])
  detokenize = (): Promise<string> => Promise.resolve('')
}

interface Changes {
  readonly target?: Partial<TargetOptions>
  readonly dataset?: Partial<DatasetOptions>
  readonly options?: Partial<BenchServeOptions>
}

function optionsOf({ target, dataset, options }: Changes): BenchServeOptions {
  return {
    ...BENCH_SERVE_DEFAULTS,
    target: { ...BENCH_SERVE_DEFAULTS.target, ...target },
    dataset: { ...BENCH_SERVE_DEFAULTS.dataset, numPrompts: 12, inputTokens: 8, outputTokens: 5, ...dataset },
    report: { ...BENCH_SERVE_DEFAULTS.report, detailed: true },
    ...options,
  }
}

const run = (changes: Changes, signal = new AbortController().signal): Promise<BenchServeReport> => runBenchServe(optionsOf(changes), { progress: () => {}, signal })

async function ownServer(t: TestContext, backend: BackendName): Promise<{ router: CountingRouter; target: Partial<TargetOptions> }> {
  const router = new CountingRouter()
  const options = { router, host: '127.0.0.1', port: 0, log: silentLog }
  const isGrpc = backend === 'rubato-grpc'
  const door = isGrpc ? await startGrpcFrontDoor(options) : await startHttpFrontDoor({ ...options, version: 'test', metrics: () => '' })
  t.after(() => door.close(100))
  const target = isGrpc
    ? { backend, grpcAddress: `127.0.0.1:${door.port}` }
    : { backend, baseUrl: `http://127.0.0.1:${door.port}`, endpoint: backend === 'openai' ? '/v1/completions' : '/v1/chat/completions' }
  return { router, target }
}

async function scriptedServer(t: TestContext, script?: AnswerScript): Promise<ScriptedServer> {
  const server = await startScriptedServer(script)
  t.after(() => server.close())
  return server
}

for (const backend of ['openai', 'openai-chat', 'rubato-grpc'] as const) {
  test(`${backend}: every token of Rubato's own front door is counted`, async (t) => {
    const { router, target } = await ownServer(t, backend)
    const report = await run({ target, options: { sampling: { ...BENCH_SERVE_DEFAULTS.sampling, returnTokenIds: true }, goodput: { ttftMs: 60_000, tpotMs: 60_000, e2elMs: null } } })
    assert.deepEqual([report.completed, report.failed, report.total_output_tokens, report.total_input_tokens, report.model_id], [12, 0, 60, 108, 'tiny'])
    assert.deepEqual([report.slo_attainment, report.itl_per], [1, 'token'])
    assert.equal(router.requests.length, 12)
    for (const row of report.requests ?? []) assert.deepEqual(row.token_ids, [100, 101, 102, 103, 104])
    assert.ok(report.itls?.every((gaps) => gaps.length === 4))
  })
}

for (const backend of ['openai', 'rubato-grpc'] as const) {
  test(`${backend}: refusals are failures with their message and miss their targets`, async (t) => {
    const { target } = await ownServer(t, backend)
    const report = await run({ target, dataset: { inputTokens: 5, numPrompts: 3 }, options: { goodput: { ttftMs: 60_000, tpotMs: null, e2elMs: null } } })
    assert.deepEqual([report.completed, report.failed, report.slo_attainment, report.request_goodput], [0, 3, 0, 0])
    assert.deepEqual(Object.values(report.error_counts), [3])
    assert.match(Object.keys(report.error_counts)[0] ?? '', /(HTTP 429|RESOURCE_EXHAUSTED): queue full/)
  })
}

test('gRPC carries the prompt, the lengths and the targets of each request', async (t) => {
  const { router, target } = await ownServer(t, 'rubato-grpc')
  await run({ target, dataset: { numPrompts: 1 }, options: { goodput: { ttftMs: 60_000, tpotMs: 50, e2elMs: null }, sampling: { ...BENCH_SERVE_DEFAULTS.sampling, sendSlo: 'always', ignoreEos: true } } })
  const [request] = router.requests
  assert.equal(request?.input.kind === 'tokens' && request.input.tokenIds.length, 8)
  assert.deepEqual([request?.sampling.maxTokens, request?.sampling.temperature, request?.sampling.ignoreEos], [5, 0, true])
  assert.deepEqual(request?.slo, { ttftMs: 60_000, tpotMs: 50 })
})

test('mixed-slo calibrates first, then sends each class its targets', async (t) => {
  const server = await scriptedServer(t)
  const report = await run({ target: { baseUrl: server.baseUrl }, dataset: { name: 'mixed-slo', numPrompts: 30 } })
  const calibration = server.asked.slice(0, 9)
  assert.ok(calibration.every(({ headers }) => headers['x-slo-tpot-ms'] === undefined))
  assert.equal(server.asked.length, 39)
  const tpotMs = report.baseline?.tpot_ms ?? assert.fail('no baseline')
  assert.deepEqual(Object.keys(report.baseline?.ttft_ms ?? {}), ['coding', 'chat', 'summarisation'])
  const coding = report.requests?.find((row) => row.class === 'coding')
  assert.equal(coding?.slo?.tpot_ms, 1.2 * tpotMs)
  assert.ok(server.asked.slice(9).some(({ headers }) => headers['x-slo-tpot-ms'] === String(1.2 * tpotMs)))
  assert.equal(report.classes?.reduce((sum, one) => sum + one.offered, 0), 30)
})

test('warm-up requests are not reported, and are not those of the run', async (t) => {
  const server = await scriptedServer(t)
  const report = await run({ target: { baseUrl: server.baseUrl }, dataset: { numPrompts: 4 }, options: { load: { ...BENCH_SERVE_DEFAULTS.load, numWarmups: 2 } } })
  assert.equal(report.offered, 4)
  assert.equal(new Set(server.asked.map(({ body }) => JSON.stringify(body['prompt']))).size, 6)
})

test('stopping reports what there is: completed stays, what was under way is interrupted', async (t) => {
  const stop = new AbortController()
  const server = await scriptedServer(t, (res, asked, call) => {
    if (call < 2) answerThreeTokens(res, asked)
    else {
      streamEvents(res, [{ choices: [{ index: 0, text: 'a', finish_reason: null }] }])
      stop.abort()
    }
  })
  const load = { ...BENCH_SERVE_DEFAULTS.load, maxConcurrency: 1 }
  const report = await run({ target: { baseUrl: server.baseUrl }, options: { load } }, stop.signal)
  assert.deepEqual([report.completed, report.failed, report.interrupted, report.offered, report.num_prompts], [2, 0, 1, 2, 12])
})

test('one failing request does not end the run', async (t) => {
  const server = await scriptedServer(t, (res, asked, call) => {
    if (call % 3 === 0) res.writeHead(500).end('boom')
    else answerThreeTokens(res, asked)
  })
  const report = await run({ target: { baseUrl: server.baseUrl } })
  assert.deepEqual([report.completed, report.failed, report.error_counts], [8, 4, { 'HTTP 500: boom': 4 }])
  assert.deepEqual(report.output_lens?.filter((length) => length === 0).length, 4)
})

test('no server: one clear error', async () => {
  await assert.rejects(run({ target: { baseUrl: 'http://127.0.0.1:1' } }), (error: unknown) => error instanceof RubatoError && error.code === 'unavailable')
  await assert.rejects(run({ target: { backend: 'rubato-grpc', grpcAddress: '127.0.0.1:1' } }), (error: unknown) => error instanceof RubatoError && error.message.includes('--grpc'))
})

test('arrivals: a rate draws them, none sends all at once, a trace brings its own', () => {
  const request = (arrivalMs: number | null): Parameters<typeof arrivalsOf>[0][number] => ({ index: 0, className: null, input: { kind: 'text', text: '' }, promptTokens: 1, maxTokens: 1, arrivalMs, slo: null })
  const at = (requestRatePerSec: number | null): BenchServeOptions => optionsOf({ options: { load: { ...BENCH_SERVE_DEFAULTS.load, requestRatePerSec } } })
  assert.deepEqual(arrivalsOf([request(null), request(null)], at(null)), [0, 0])
  assert.equal(arrivalsOf([request(null), request(null)], at(4))[1], 500)
  assert.deepEqual(arrivalsOf([request(0), request(250)], at(null)), [0, 250])
  assert.deepEqual(arrivalsOf([request(0), request(250)], at(2)), [0, 1000])
})
