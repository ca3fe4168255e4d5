// The embedded cluster's own actors, router and instance, under virtual time: a long seeded workload of arrivals, stops,
// cancels, preemptions and evictions, with every block accounted for after every message.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DONE, done } from '@rubato/actor'
import type { EffectTable, SupervisionEvent } from '@rubato/actor'
import { InstanceActor } from '@rubato/instance'
import type { EngineShape } from '@rubato/model'
import { validateSampling } from '@rubato/model/sampling'
import { batchingPolicy } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'
import { ROUTER_TIMING, RouterActor } from '@rubato/service-router'
import type { ClientDelivery, ClientRequest, DeliverEffect, RouterParts, TextStreams } from '@rubato/service-router'
import { SimBus, SimShell, SimWorld, simulatedEngine } from '@rubato/sim'
import { MemoryEngine, SMALL_SHAPE, referenceTokens, seededRandom, testHashBlock, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'

const COST: StepCostModel = {
  decode: { fixedMs: 2, perSequenceMs: 0.3, perNodeMs: 0.3, perContextTokenMs: 0.001 },
  cell: { fixedMs: 1, perTokenMs: 0.5, perPairMs: 0 },
  correctionRatio: 1,
}

/** Each token is a word of its own, so that stop strings can hit and text can be compared. */
const TEXT: TextStreams = {
  detokenizer: () => ({ push: (tokenIds) => Array.from(tokenIds, (id) => ` ${id}`).join(''), flush: () => '' }),
  stopMatcher: (stops) => {
    let text = ''
    return {
      push(delta) {
        text += delta
        const stopped = stops.find((stop) => text.includes(stop)) ?? null
        return { emit: delta, stopped }
      },
      flush: () => '',
    }
  },
  tokenBytes: (tokenId) => Buffer.from(` ${tokenId}`),
}

interface ClientRecord {
  readonly request: ClientRequest
  readonly choices: number[][]
  cancelled: boolean
  end: 'finished' | 'failed' | null
}

function drawRequest(random: SeededRandom, index: number, shape: EngineShape): ClientRequest {
  const shared = random.int(4)
  const prompt = Array.from({ length: 1 + random.int(100) }, (_, place) => (place < 24 ? 100 + shared : 200 + random.int(700)))
  const sampling: ClientRequest['sampling'] = {
    maxTokens: 1 + random.int(60), minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
    logitBias: [], seed: random.int(1e9), stopTokenIds: random.next() < 0.2 ? [random.int(shape.vocabSize)] : [], ignoreEos: random.next() < 0.7, logprobs: null,
  }
  return {
    requestId: `r${index}`, model: 'm', input: { kind: 'tokens', tokenIds: prompt }, sampling, n: random.next() < 0.15 ? 2 + random.int(2) : 1,
    stop: random.next() < 0.2 ? [` ${random.int(90)}`] : [], slo: { ttftMs: null, tpotMs: random.next() < 0.5 ? 20 : null }, priority: random.int(3),
    cacheSalt: random.next() < 0.2 ? 'salt' : '', remainingMs: random.next() < 0.05 ? 50 + random.int(500) : null, echo: false,
  }
}

function routerParts(shape: EngineShape): RouterParts {
  const model = { id: 'm', fingerprint: shape.modelFingerprint, maxModelLen: shape.maxModelLen, vocabSize: shape.vocabSize, eosTokenIds: shape.eosTokenIds, createdS: 0, defaults: { temperature: null, topP: null, topK: null }, text: TEXT }
  const config = { maxConcurrentRequests: 64, queueSize: 10_000, queueTimeoutMs: 1e7, migrationLimit: 3, helloTo: ['instance/i1'], timing: ROUTER_TIMING }
  return { config, models: [model], validateSampling }
}

/** A client's end state against what its request must yield: full, or a prefix where it left, ran out of time or was stopped by a string. */
function checkClient(client: ClientRecord, shape: EngineShape, label: string): void {
  const { request } = client
  assert.ok(client.cancelled || client.end !== null, `${label}: ${request.requestId} never ended`)
  if (request.input.kind !== 'tokens') return
  for (const [sequence, got] of client.choices.entries()) {
    const sampling = { ...request.sampling, maxTokens: request.sampling.maxTokens ?? 0, seed: request.sampling.seed ?? 0, temperature: 1, topP: 1, topK: 0 }
    const expected = referenceTokens({ promptIds: request.input.tokenIds, sequence, sampling }, shape)
    assert.deepEqual(got, expected.slice(0, got.length), `${label}: ${request.requestId} choice ${sequence}`)
    if (client.end === 'finished' && request.stop.length === 0) assert.equal(got.length, expected.length, `${label}: ${request.requestId} choice ${sequence} is short`)
  }
}

test('2,000 requests in virtual time: every block is accounted for at every message, and free or cached at the end', () => {
  const seed = testSeed(20_261)
  const label = `seed ${seed}`
  const random = seededRandom(seed)
  const shape: EngineShape = { ...SMALL_SHAPE, numBlocks: 96 }
  const world = new SimWorld({ seed })
  const shell = new SimShell({ world, bus: new SimBus({ world, latency: () => ({ baseMs: 0.1, jitterMs: 0.2 }) }) })
  const engine = new MemoryEngine(shape)
  const onEvent = (event: SupervisionEvent): void => {
    if (event.kind === 'crashed') crashes.push(event.error)
  }
  const crashes: unknown[] = []
  const instance = new InstanceActor({
    instanceId: 'i1', address: 'instance/i1', incarnation: 1, shape, batching: batchingPolicy('sarathi', { costModel: COST }),
    limits: { maxNumSeqs: 24, maxNumBatchedTokens: 64 }, hashBlock: testHashBlock, rootHash: (salt) => `root ${salt}`, enablePrefixCache: true,
  })
  shell.spawn({
    address: 'instance/i1',
    factory: () => ({ actor: instance, effects: simulatedEngine({ world, costModel: COST, apply: (command) => engine.apply(command), name: 'i1', jitterRatio: 0.3 }) }),
    onIncoming: () => instance.assertIntegrity(),
    onEvent,
  })
  const clients = new Map<number, ClientRecord>()
  const onClientEvent = ({ clientId, event }: ClientDelivery): void => {
    const client = clients.get(clientId)!
    assert.equal(client.end, null, `${label}: an event after the end`)
    if (event.kind === 'delta') client.choices[event.index]!.push(...event.tokenIds)
    else if (event.kind !== 'accepted') client.end = event.kind
  }
  const effects: EffectTable = {
    tokenize: { limit: 10_000, perform: (effect, run) => run.complete(done((effect as unknown as { input: { tokenIds: number[] } }).input.tokenIds)) },
    deliver: { limit: 10_000, perform: (effect, run) => { for (const delivery of (effect as DeliverEffect).events) onClientEvent(delivery); run.complete(DONE) } },
  }
  const router = new RouterActor(routerParts(shape))
  shell.spawn({ address: 'router/r1', factory: () => ({ actor: router, effects }), onEvent })
  world.runFor(10)
  const isFinished = (): boolean => [...clients.values()].every((client) => client.cancelled || client.end !== null)
  for (let index = 0; index < 2000; index++) {
    const request = drawRequest(random, index, shape)
    clients.set(index, { request, choices: Array.from({ length: request.n }, () => []), cancelled: false, end: null })
    shell.deliver('door', 'router/r1', { kind: 'submit', clientId: index, request, seedIfNone: 0 })
    world.runFor(random.int(60))
    const victim = clients.get(random.int(index + 1))!
    if (random.next() < 0.1 && victim.end === null && !victim.cancelled) {
      victim.cancelled = true
      shell.deliver('door', 'router/r1', { kind: 'cancel', clientId: Number(victim.request.requestId.slice(1)) })
    }
  }
  assert.deepEqual(crashes, [], label)
  assert.ok(world.runUntil(isFinished, 1e7), `${label}: ${[...clients.values()].filter((client) => client.end === null && !client.cancelled).length} requests never ended`)
  world.runFor(60_000)
  for (const client of clients.values()) checkClient(client, shape, label)
  instance.assertIntegrity()
  assert.equal(engine.numLive, 0, `${label}: the engine still holds sequences`)
  const [model] = router.snapshot().models
  const { fleet, stats } = model!
  const { stop, length, cancelled, deadline, ...others } = stats.requestsByOutcome
  assert.equal(stop + length + cancelled + deadline, 2000, `${label}: ${JSON.stringify(others)}`)
  for (const [what, count] of Object.entries({ stop, length, cancelled, deadline, preemptions: fleet.preemptionsTotal, hits: fleet.prefixHitTokensTotal })) {
    assert.ok(count > 50, `${label}: the workload hardly met any ${what}: ${count}`)
  }
  assert.ok(fleet.kvUsageRatio === 0, `${label}: blocks are still owned`)
  assert.ok(Object.values(router.sizes()).every((size) => size === 0), `${label}: ${JSON.stringify(router.sizes())}`)
})
