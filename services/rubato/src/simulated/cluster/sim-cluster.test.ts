import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineShape } from '@rubato/model'
import { dispatchPolicy, speculationPolicy } from '@rubato/policy'
import type { Placement, StepCostModel } from '@rubato/policy'
import type { ClientRequest } from '@rubato/service-router'
import { SimWorld } from '@rubato/sim'
import { seededRandom, testSeed } from '@rubato/testing'
import { SimCluster } from './sim-cluster.ts'
import type { SimRequestRecord } from './clients/record.ts'
import type { SimClusterOptions, SimInstanceSpec } from './options.ts'

/** 10 ms per cell, 5 ms per step that decodes. */
const COST: StepCostModel = {
  decode: { fixedMs: 5, perSequenceMs: 0, perNodeMs: 0, perContextTokenMs: 0 },
  cell: { fixedMs: 10, perTokenMs: 0, perPairMs: 0 },
  correctionRatio: 1,
}
const SHAPE: EngineShape = {
  modelFingerprint: 'm', blockSize: 16, cellTokens: 64, numBlocks: 500, blockBytes: 1_000_000, vocabSize: 32_000, maxModelLen: 4096, eosTokenIds: [2], replay: 'cells',
}

function instance(name: string, fields: Partial<SimInstanceSpec> = {}): SimInstanceSpec {
  return {
    name, role: 'mixed', shape: SHAPE, timer: { stepMs: ({ cells, decodes }) => 10 * cells.length + (decodes.length > 0 ? 5 : 0) }, costModel: COST,
    limits: { maxNumSeqs: 64, maxNumBatchedTokens: 512 }, batching: 'sarathi', link: { bytesPerSec: 1e9, latencyMs: 1 }, ...fields,
  }
}

function cluster(instances: readonly SimInstanceSpec[], { placement = 'auto', ...fields }: Partial<SimClusterOptions> & { readonly placement?: Placement } = {}): SimCluster {
  const opened = new SimCluster({
    world: new SimWorld({ seed: 3 }), numRouters: 1, instances, dispatch: dispatchPolicy('slo', { placement }), migration: 'off', engine: 'light',
    busLatency: { baseMs: 1, jitterMs: 0 }, ...fields,
  })
  opened.runUntilReady()
  return opened
}

function request(requestId: string, { numPromptTokens = 100, maxTokens = 4, n = 1 } = {}): ClientRequest {
  return {
    requestId, model: '', input: { kind: 'tokens', tokenIds: Array.from({ length: numPromptTokens }, (_, place) => (place * 31 + requestId.length) % 30_000) },
    sampling: {
      maxTokens, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
      logitBias: [], seed: 11, stopTokenIds: [], ignoreEos: true, logprobs: null,
    },
    n, stop: [], slo: { ttftMs: null, tpotMs: null }, priority: 0, cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
  }
}

function finish(running: SimCluster, limitMs = 1e6): void {
  assert.ok(running.world.runUntil(() => running.numOpen === 0 || running.crashes.length > 0, limitMs), `${running.numOpen} requests never ended`)
  assert.deepEqual(running.crashes, [])
}

function assertWhole(record: SimRequestRecord, numTokens: number): void {
  const { requestId, end, error, numLostTokens, numDuplicatedTokens } = record
  assert.deepEqual([end, numLostTokens, numDuplicatedTokens, record.numTokens], ['finished', 0, 0, numTokens], `${requestId}: ${error}`)
}

test('a request takes what its links, cells and steps take', () => {
  const running = cluster([instance('i1')])
  const record = running.submit(request('q'))
  finish(running)
  assertWhole(record, 4)
  // 1 ms to the instance, two cells, 1 ms back; then a step per token.
  assert.equal(Math.round((record.firstTokenMs! - record.arrivedMs) * 1e6) / 1e6, 22)
  assert.deepEqual([...record.gapsMs].map((gapMs) => Math.round(gapMs * 1e3) / 1e3), [5, 5, 5])
  assert.deepEqual([record.usage?.promptTokens, record.usage?.completionTokens, record.request, record.tokenIds], [100, 4, null, null])
})

test('a prompt that is computed elsewhere moves at the size of its blocks and the speed of the slower link', () => {
  const slow = { bytesPerSec: 1e8, latencyMs: 1 }
  const running = cluster([instance('p', { role: 'prefill' }), instance('d', { role: 'decode', link: slow })], { placement: 'disaggregated' })
  const record = running.submit(request('q', { numPromptTokens: 128, maxTokens: 8 }))
  finish(running)
  assertWhole(record, 8)
  assert.equal(running.traffic().kvBytes, 8 * SHAPE.blockBytes)
  // Four blocks travel while the second cell runs, 40 ms each half: the second token waits for what is left of 80 ms.
  assert.ok(record.gapsMs[0]! > 60 && record.gapsMs[0]! < 90, `${record.gapsMs[0]}`)
  assert.equal(Math.round(record.gapsMs[1]!), 5)
})

test('choices are counted each for itself, gaps are those of a choice, and only what is asked for is kept', () => {
  const heard: (number | null)[] = []
  const ended: string[] = []
  const recording = { keepsTokens: true, keepsGaps: false, onTokens: (_: SimRequestRecord, numTokens: number, gapMs: number | null) => heard.push(gapMs === null ? null : numTokens), onEnd: ({ requestId }: SimRequestRecord) => ended.push(requestId) }
  const running = cluster([instance('i1')], { recording })
  const record = running.submit(request('q', { n: 3 }))
  finish(running)
  assertWhole(record, 12)
  assert.deepEqual(record.tokenIds?.map(({ length }) => length), [4, 4, 4])
  assert.deepEqual([heard.filter((gap) => gap === null).length, heard.length, record.gapsMs.length, ended], [3, 12, 0, ['q']])
  assert.equal(record.request?.requestId, 'q')
})

test('drafts that guess right bring several tokens at a time', () => {
  const drafting = instance('i1', { speculation: speculationPolicy('static:3'), drafts: { goodRatio: 1, levelMs: 1 } })
  const running = cluster([drafting])
  const record = running.submit(request('q', { maxTokens: 41 }))
  finish(running)
  assertWhole(record, 41)
  assert.ok((record.timing?.acceptedDraftTokens ?? 0) >= 20, `${record.timing?.acceptedDraftTokens}`)
  assert.ok([...record.gapsMs].filter((gapMs) => gapMs === 0).length >= 20)
})

test('operators move requests, change roles and drain; the instances do as told', () => {
  const running = cluster([instance('a'), instance('b')])
  const record = running.submit(request('q', { maxTokens: 400 }))
  running.world.runFor(500)
  const from = running.loads().find(({ load }) => load!.numRunning === 1)!.name
  const to = from === 'a' ? 'b' : 'a'
  running.migrate(from, to, { requestId: 'q' })
  running.setRole(to, 'decode')
  running.drain(from)
  running.world.runFor(500)
  const view = (name: string) => running.loads().find((instanceView) => instanceView.name === name)!.load!
  assert.deepEqual([view(from).draining, view(from).numRunning, view(to).role, view(to).numRunning], [true, 0, 'decode', 1])
  running.undrain(from)
  finish(running)
  assert.equal(view(from).draining, false)
  assertWhole(record, 400)
  assert.equal(record.timing?.migrations, 1)
})

test('a client that leaves frees its request, and a request may be refused', () => {
  const running = cluster([instance('i1')], { admission: { maxConcurrentRequests: 1, queueSize: 1 } })
  const [first, second, third] = ['q1', 'q2', 'q3'].map((id) => running.submit(request(id, { maxTokens: 1000 })))
  running.world.runFor(100)
  assert.match(third!.error ?? '', /^queue_full/)
  running.cancel(first!)
  running.cancel(first!)
  running.world.runFor(100)
  running.cancel(second!)
  running.world.runFor(60_000)
  assert.deepEqual([first!.end, second!.end, third!.end, running.numOpen], ['cancelled', 'cancelled', 'failed', 0])
  running.assertIdle('cancelled')
})

test('the migrator evens out what arrived on one side', () => {
  const small = { ...SHAPE, numBlocks: 60 }
  const running = cluster([instance('a', { shape: small }), instance('b', { shape: small })], { migration: 'llumnix', dispatch: dispatchPolicy('round-robin', { placement: 'colocated' }) })
  running.world.runFor(5_000)
  running.drain('b')
  running.world.runFor(1_000)
  const records = Array.from({ length: 8 }, (_, index) => running.submit(request(`q${index}`, { numPromptTokens: 60, maxTokens: 300 })))
  running.world.runFor(300)
  running.undrain('b')
  finish(running)
  for (const record of records) assertWhole(record, 300)
  assert.ok(running.loads().some(({ load }) => load!.migrations.inTotal > 0), 'nothing moved')
})

test('whatever dies, stands still or is cut off: every token of every request comes once', () => {
  const seed = testSeed(7)
  const random = seededRandom(seed)
  const instances = ['a', 'b', 'c', 'd', 'e'].map((name, index) => instance(name, { role: (['mixed', 'prefill', 'decode'] as const)[index % 3]!, jitterRatio: 0.2 }))
  const running = cluster(instances, { world: new SimWorld({ seed }), numRouters: 2, migration: 'llumnix', numMigrators: 2 })
  running.setLinkFaults({ lossRatio: 0.003, kvCutRatio: 0.05, latencyFactor: 3, bandwidthFactor: 0.5 })
  const processes = [...instances.map(({ name }) => name), 'r1', 'r2', 'm1', 'm2']
  const records: SimRequestRecord[] = []
  for (let index = 0; index < 150; index++) {
    records.push(running.submit(request(`q${index}`, { numPromptTokens: 20 + random.int(400), maxTokens: 20 + random.int(100) })))
    running.world.runFor(random.int(100))
    const name = processes[random.int(processes.length)]!
    if (index % 10 === 3) running.kill(name, { restartMs: 300 + random.int(3000) })
    if (index % 10 === 5) running.freeze(name, 100 + random.int(4000))
    if (index % 10 === 7) running.partition([name], 100 + random.int(4000))
    if (index % 20 === 9) running.killEngine(name)
    if (index === 80) running.restartBroker(1500)
  }
  finish(running)
  running.world.runFor(60_000)
  for (const record of records) assertWhole(record, record.usage!.completionTokens)
  for (const record of records) assert.equal(record.gapsMs.length, record.numTokens - 1)
  running.assertIdle(`seed ${seed}`)
  assert.ok(running.numFenced > 0 && records.some(({ resumes }) => resumes > 0) && records.some(({ timing }) => timing!.recoveries > 0))
})

test('two processes of one name are refused', () => {
  assert.throws(() => cluster([instance('a'), instance('a')]), /two processes are named a/)
  assert.throws(() => cluster([instance('r1')]), /two processes are named r1/)
})
