// Instances and speculators under virtual time, while what they say to each other gets lost, is late and overtaken, and speculators
// die, are cut off and come back: every request emits what it emits without drafts, and nothing stays behind. Seeded; the seed is
// printed with every failure.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InstanceActor } from '@rubato/instance'
import type { GenerateMessage, InstanceReport, TokensMessage } from '@rubato/instance'
import { speculationPolicy } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'
import { busDraftLinks, draftEffects } from '@rubato/runtime'
import { SpeculatorActor } from '@rubato/service-speculator'
import { SimBus, SimShell, SimWorld, SimulatedEngine, engineModel } from '@rubato/sim'
import { MemoryEngine, SMALL_SHAPE, expectedChoice, firstComeBatching, generateMessage, seededRandom, testHashBlock, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { DISCARD_SPANS } from '@rubato/telemetry'
import { VirtualDraftModel } from './support/virtual-drafts.ts'

const COST: StepCostModel = { decode: { fixedMs: 8, perSequenceMs: 0.3, perNodeMs: 0.2, perContextTokenMs: 0 }, cell: { fixedMs: 4, perTokenMs: 0.3, perPairMs: 0 }, correctionRatio: 1 }
const SHAPE = { ...SMALL_SHAPE, numBlocks: 48 }
const VOCABULARY = { vocabulary: 'words', vocabSize: SHAPE.vocabSize }
const ROUTER = 'router/r1'

interface LiveSpeculator {
  readonly actor: SpeculatorActor
  readonly model: VirtualDraftModel
}

class Rig {
  readonly world: SimWorld
  /** What routers and instances say arrives; what concerns drafts suffers. */
  readonly draftBus: SimBus
  readonly instances = new Map<string, { readonly actor: InstanceActor; readonly engine: MemoryEngine; readonly close: () => void }>()
  readonly speculators = new Map<string, LiveSpeculator>()
  readonly crashes: unknown[] = []
  readonly #shell: SimShell
  readonly #draftShell: SimShell
  readonly #tokens = new Map<string, number[]>()
  readonly #messages: GenerateMessage[] = []
  readonly #finished = new Set<string>()
  #lastLife = 0

  constructor(seed: number, options: { readonly numInstances: number; readonly numSpeculators: number; readonly policy: string }) {
    this.world = new SimWorld({ seed })
    const bus = new SimBus({ world: this.world })
    this.draftBus = new SimBus({ world: this.world, latency: () => ({ baseMs: 0.3, jitterMs: 0.4 }) })
    this.#shell = new SimShell({ world: this.world, bus })
    this.#draftShell = new SimShell({ world: this.world, bus: this.draftBus })
    bus.register(ROUTER, (_, payload) => this.#hear(payload as InstanceReport))
    for (let count = 0; count < options.numSpeculators; count++) this.addSpeculator()
    for (let count = 1; count <= options.numInstances; count++) this.#addInstance(`i${count}`, options.policy)
  }

  addSpeculator(): void {
    this.#lastLife += 1
    const address = `speculator/s${this.#lastLife}`
    const actor = new SpeculatorActor({ ...VOCABULARY, maxSequences: 12 })
    const model = new VirtualDraftModel({ scheduler: this.world, random: this.world.random(address), shape: SHAPE, goodRatio: 0.8, runMs: 0.5, tokenMs: 0.05 })
    this.#draftShell.spawn({ address, factory: () => ({ actor, effects: model.ports() }), onIncoming: () => actor.assertIntegrity(), onEvent: (event) => this.#onEvent(event) })
    this.speculators.set(address, { actor, model })
    for (const name of this.instances.keys()) this.#tell(name, { kind: 'speculator-joined', address, endpoint: address })
  }

  killSpeculator(address: string): void {
    this.#draftShell.crash(address)
    this.speculators.delete(address)
    // Its lease expires a little later.
    this.world.schedule(300, () => {
      for (const name of this.instances.keys()) this.#tell(name, { kind: 'member-gone', address })
    })
  }

  submit(message: GenerateMessage, instance: string): void {
    this.#messages.push(message)
    for (const sequence of message.emittedIds.keys()) this.#tokens.set(`${message.requestId}#${sequence}`, [])
    this.#tell(instance, message, ROUTER)
  }

  abort({ requestId, epoch }: GenerateMessage, instance: string): void {
    this.#finished.add(requestId)
    this.#tell(instance, { kind: 'abort', requestId, epoch, sequence: null }, ROUTER)
  }

  get isDone(): boolean {
    return this.crashes.length > 0 || this.#messages.every(({ requestId }) => this.#finished.has(requestId))
  }

  /** Every token is the reference's; those of aborted requests are its beginning. */
  checkTokens(label: string): void {
    for (const message of this.#messages) {
      for (const sequence of message.emittedIds.keys()) {
        const got = this.#tokens.get(`${message.requestId}#${sequence}`)!
        const expected = expectedChoice(message, sequence, SHAPE)
        assert.deepEqual(got, expected.slice(0, got.length), `${label}: ${message.requestId}`)
      }
    }
  }

  /** Tokens emitted per decode step of one sequence, on average, and asks that failed. */
  summary(): { readonly accepted: number; readonly asks: number; readonly failures: number; readonly answers: number } {
    const sum = { accepted: 0, asks: 0, failures: 0, answers: 0 }
    for (const load of this.loads.values()) {
      const { acceptedTokensTotal, remote } = load.speculation!
      sum.accepted += acceptedTokensTotal
      sum.asks += remote!.asksTotal
      sum.answers += remote!.answersTotal
      sum.failures += remote!.lateTotal + remote!.failedTotal + remote!.garbledTotal
    }
    return sum
  }

  readonly loads = new Map<string, Extract<InstanceReport, { kind: 'load' }>>()

  #hear(report: InstanceReport): void {
    if (report.kind === 'load') this.loads.set(report.instanceId, report)
    if (report.kind === 'tokens') for (const run of report.runs) this.#collect(run)
    assert.notEqual(report.kind, 'refused')
  }

  #collect({ requestId, sequence, firstIndex, tokenIds, finish }: TokensMessage['runs'][number]): void {
    const tokens = this.#tokens.get(`${requestId}#${sequence}`)!
    assert.equal(firstIndex, tokens.length, `${requestId} has a gap`)
    tokens.push(...tokenIds)
    if (finish !== null) this.#finished.add(requestId)
  }

  #tell(name: string, message: object, from = 'process'): void {
    this.#shell.deliver(from, `instance/${name}`, message)
  }

  #addInstance(name: string, policy: string): void {
    const engine = new MemoryEngine(SHAPE)
    const actor = new InstanceActor({
      instanceId: name, address: `instance/${name}`, incarnation: 1, shape: SHAPE, batching: firstComeBatching, costModel: COST, speculation: speculationPolicy(policy),
      limits: { maxNumSeqs: 8, maxNumBatchedTokens: 48 }, hashBlock: testHashBlock, rootHash: (salt) => `root:${salt}`, enablePrefixCache: true, announceTo: [ROUTER],
      speculators: [...this.speculators.keys()].map((address) => ({ address, endpoint: address })),
    })
    const links = busDraftLinks({ bus: this.draftBus, address: `drafts/${name}`, peer: { ...VOCABULARY, instanceId: name, eosTokenIds: SHAPE.eosTokenIds } })
    const timer = { stepMs: ({ cells, decodes }: { readonly cells: readonly unknown[]; readonly decodes: readonly { readonly nodes: number }[] }) => 4 * cells.length + (decodes.length > 0 ? 8 : 0) + decodes.reduce((sum, { nodes }) => sum + 0.3 + 0.2 * nodes, 0) }
    const port = new SimulatedEngine({ scheduler: this.world, timer, model: engineModel((command) => engine.apply(command)), random: this.world.random(name), jitterRatio: 0.2 })
    this.#shell.spawn({
      address: `instance/${name}`, factory: () => ({ actor, effects: { ...DISCARD_SPANS, engine: port, ...draftEffects(links) } }),
      onIncoming: () => actor.assertIntegrity(), onEvent: (event) => this.#onEvent(event),
    })
    this.instances.set(name, { actor, engine, close: () => links.close() })
  }

  #onEvent(event: { readonly kind: string; readonly error?: unknown }): void {
    if (event.kind === 'crashed') this.crashes.push(event.error)
  }
}

function drawRequest(random: SeededRandom, index: number): GenerateMessage {
  return generateMessage(`q${index}`, {
    promptIds: Array.from({ length: 1 + random.int(40) }, (_, place) => 1 + ((random.int(900) + place) % 900)),
    n: random.next() < 0.15 ? 2 : 1, priority: random.int(3),
    sampling: { maxTokens: 1 + random.int(50), seed: random.int(1e6), ignoreEos: random.next() < 0.7, stopTokenIds: random.next() < 0.2 ? [random.int(1000)] : [] },
  })
}

interface Trouble {
  readonly lossRatio?: number
  readonly reorderRatio?: number
  /** Per request that comes. */
  readonly killRatio?: number
  readonly deathRatio?: number
  readonly cutRatio?: number
  readonly slowRatio?: number
}

function run(seed: number, numRequests: number, policy: string, trouble: Trouble): Rig {
  const label = `seed ${seed}, ${policy}`
  const random = seededRandom(seed)
  const rig = new Rig(seed, { numInstances: 2, numSpeculators: 2, policy })
  const happens = (ratio = 0): boolean => random.next() < ratio
  rig.draftBus.faults.lossRatio = trouble.lossRatio ?? 0
  rig.draftBus.faults.reorderRatio = trouble.reorderRatio ?? 0
  for (let index = 0; index < numRequests; index++) {
    const message = drawRequest(random, index)
    const instance = random.pick([...rig.instances.keys()])
    rig.submit(message, instance)
    rig.world.runFor(random.int(120))
    if (happens(0.05)) rig.abort(message, instance)
    const [address] = [...rig.speculators.keys()].filter(() => random.next() < 0.6)
    if (address !== undefined && happens(trouble.killRatio)) {
      rig.killSpeculator(address)
      rig.world.schedule(random.int(2000), () => rig.addSpeculator())
    } else if (address !== undefined && happens(trouble.cutRatio)) {
      const place = rig.draftBus.place(address)
      place.partition = 1
      rig.world.schedule(random.int(1500), () => (place.partition = 0))
    } else if (address !== undefined && happens(trouble.deathRatio)) rig.speculators.get(address)!.model.dieOnce()
    if (happens(trouble.slowRatio)) {
      rig.draftBus.faults.latencyFactor = 100
      rig.world.schedule(random.int(1000), () => (rig.draftBus.faults.latencyFactor = 1))
    }
  }
  assert.ok(rig.world.runUntil(() => rig.isDone, 1e6), `${label}: it never ended`)
  assert.deepEqual(rig.crashes, [], label)
  rig.draftBus.faults.lossRatio = 0
  rig.world.runFor(5_000)
  assert.deepEqual(rig.crashes, [], label)
  rig.checkTokens(label)
  for (const [name, { actor, engine }] of rig.instances) {
    actor.assertIntegrity()
    assert.equal(engine.numLive, 0, `${label}: ${name} still holds sequences`)
  }
  return rig
}

function assertForgotten(rig: Rig, label: string): void {
  for (const [address, { actor, model }] of rig.speculators) {
    const { numSequences, numQueued } = actor.snapshot()
    assert.deepEqual([numSequences, numQueued, model.numSequences], [0, 0, 0], `${label}: ${address} still knows sequences`)
  }
}

test('undisturbed: most guesses are used, and speculators forget what ended', () => {
  const seed = testSeed(7100)
  for (const policy of ['static:4', 'auto', 'adaserve']) {
    const rig = run(seed, 24, policy, {})
    assertForgotten(rig, `seed ${seed}, ${policy}`)
    const { accepted, asks, failures } = rig.summary()
    assert.ok(accepted > 120 && failures < 0.1 * asks, `${policy}: ${accepted} accepted, ${failures} of ${asks} asks failed`)
  }
})

test('lost and overtaken messages cost drafts, never tokens', (t) => {
  const seed = testSeed(7200)
  for (const offset of [0, 1, 2]) {
    const rig = run(seed + offset, 25, offset % 2 === 0 ? 'static:4' : 'auto', { lossRatio: 0.02 * (1 + offset), reorderRatio: 0.05 * offset })
    const { accepted, asks, failures } = rig.summary()
    t.diagnostic(`loss ${0.02 * (1 + offset)}: ${accepted} accepted, ${failures} of ${asks} asks failed`)
    assert.ok(failures > 0 && accepted > 20, `seed ${seed + offset}: ${accepted} accepted, ${failures} failed`)
    for (const { close } of rig.instances.values()) close()
    rig.world.runFor(1_000)
    assertForgotten(rig, `seed ${seed + offset}`)
  }
})

test('speculators that die, lose their draft model, are cut off and slow down: requests go on, and use them again', (t) => {
  const seed = testSeed(7300)
  for (const offset of [0, 1, 2, 3]) {
    const rig = run(seed + offset, 40, offset % 3 === 0 ? 'auto' : 'static:4', { lossRatio: 0.01, killRatio: 0.06, deathRatio: 0.06, cutRatio: 0.08, slowRatio: 0.05 })
    const { accepted, answers, asks, failures } = rig.summary()
    t.diagnostic(`seed ${seed + offset}: ${accepted} accepted, ${answers} answers and ${failures} failures of ${asks} asks`)
    assert.ok(failures > 3, `seed ${seed + offset}: nothing failed`)
    assert.ok(accepted > 20, `seed ${seed + offset}: ${accepted} accepted`)
  }
})

test('with every speculator gone a step waits for nobody', () => {
  const seed = testSeed(7400)
  const durationOf = (numSpeculators: number, cut: boolean): number => {
    const rig = new Rig(seed, { numInstances: 1, numSpeculators, policy: 'static:4' })
    if (cut) for (const address of rig.speculators.keys()) rig.draftBus.place(address).partition = 1
    rig.submit(generateMessage('r', { promptLen: 10, sampling: { maxTokens: 150 } }), 'i1')
    assert.ok(rig.world.runUntil(() => rig.isDone, 1e6))
    rig.checkTokens(`seed ${seed}`)
    return rig.world.nowMs()
  }
  const [without, gone, there] = [durationOf(0, false), durationOf(2, true), durationOf(2, false)]
  assert.ok(gone < 1.01 * without, `${gone} ms with speculators that are cut off, ${without} ms without any`)
  assert.ok(there < 0.6 * without, `${there} ms with speculators, ${without} ms without`)
})
