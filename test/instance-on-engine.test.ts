// The instance actor on the real engine: requests that come together, are cancelled, preempted, evicted and recomputed
// emit what each of them emits alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { InstanceActor } from '@rubato/instance'
import type { GenerateMessage, InstanceConfig, LoadMessage } from '@rubato/instance'
import type { Engine, EngineResult } from '@rubato/model'
import { OnnxEngine } from '@rubato/model/engine'
import type { ComputeDtype } from '@rubato/model/engine'
import { InstanceDriver, firstComeBatching, generateMessage, seededRandom, temporaryFolder, testHashBlock, testSeed, writeTinyCheckpoint } from '@rubato/testing'
import type { SeededRandom, StepEngine } from '@rubato/testing'

const NUM_REQUESTS = 60
const VOCAB_SIZE = 160
const BLOCK_BYTES = 4096
const NUM_BLOCKS = 44

/** An instance actor whose steps run on a real engine; virtual time stands still meanwhile. */
class EngineDriver {
  readonly driver: InstanceDriver<StepEngine>
  readonly #engine: Engine
  #result: EngineResult | null = null

  constructor(engine: Engine, config: Partial<InstanceConfig>) {
    this.#engine = engine
    const actor = new InstanceActor({
      instanceId: 'i1', address: 'instance/i1', incarnation: 1, shape: engine.shape, batching: firstComeBatching, limits: { maxNumSeqs: 8, maxNumBatchedTokens: 64 },
      hashBlock: testHashBlock, rootHash: (cacheSalt) => `root:${cacheSalt}`, enablePrefixCache: true, ...config,
    })
    this.driver = new InstanceDriver(actor, { apply: () => this.#result! })
    this.driver.afterReceive = () => actor.assertIntegrity()
  }

  async completeStep(): Promise<void> {
    this.#result = await this.#engine.execute(this.driver.command!)
    this.driver.completeStep()
  }

  async runToIdle(): Promise<void> {
    while (this.driver.command !== null) await this.completeStep()
  }
}

async function openEngine(t: TestContext, modelDir: string, dtype: ComputeDtype): Promise<OnnxEngine> {
  const engine = await OnnxEngine.open({
    modelDir, dtype, textDigest: '', eosTokenIds: null, maxModelLen: 160, blockSize: 8, cellTokens: 16, kvCacheBytes: (NUM_BLOCKS + 1) * BLOCK_BYTES, intraOpThreads: 1,
    cacheDir: `${modelDir}/cache`,
  })
  t.after(() => engine.close())
  return engine
}

function drawRequest(random: SeededRandom, name: string, prefixes: readonly (readonly number[])[]): GenerateMessage {
  const tail = Array.from({ length: 1 + random.int(40) }, () => random.int(VOCAB_SIZE))
  const maxTokens = 1 + random.int(40)
  return generateMessage(name, {
    promptIds: random.next() < 0.6 ? [...random.pick(prefixes), ...tail] : tail,
    n: random.next() < 0.25 ? 2 + random.int(2) : 1,
    priority: random.int(3),
    cacheSalt: random.next() < 0.1 ? 'other' : '',
    sampling: {
      maxTokens, seed: random.int(1000), temperature: random.next() < 0.4 ? 0 : 1, topP: random.next() < 0.3 ? 0.9 : 1, ignoreEos: random.next() < 0.7,
      stopTokenIds: random.next() < 0.4 ? [random.int(VOCAB_SIZE), random.int(VOCAB_SIZE)] : [], presencePenalty: random.next() < 0.2 ? 0.5 : 0,
      logprobs: random.next() < 0.2 ? 2 : null,
    },
  })
}

/** Tokens of every choice when each request has the instance, and an empty cache, to itself. */
async function tokensAlone(engine: Engine, requests: readonly GenerateMessage[]): Promise<Map<string, readonly number[]>> {
  const alone = new EngineDriver(engine, { enablePrefixCache: false })
  const expected = new Map<string, readonly number[]>()
  for (const message of requests) {
    alone.driver.deliver(message)
    await alone.runToIdle()
    for (const sequence of message.emittedIds.keys()) expected.set(`${message.requestId}#${sequence}`, alone.driver.choice(message.requestId, sequence).tokenIds)
  }
  return expected
}

for (const dtype of ['float32', 'int8'] as const) {
  test(`${NUM_REQUESTS} requests in a small pool emit what each emits alone, ${dtype}`, async (t) => {
    const seed = testSeed(900)
    t.diagnostic(`seed ${seed}`)
    const random = seededRandom(seed)
    const modelDir = writeTinyCheckpoint(temporaryFolder(t), {})
    const prefixes = [12, 32, 48].map((length) => Array.from({ length }, () => random.int(VOCAB_SIZE)))
    const requests = Array.from({ length: NUM_REQUESTS }, (_, place) => drawRequest(random, `r${place}`, prefixes))
    const expected = await tokensAlone(await openEngine(t, modelDir, dtype), requests)
    const together = new EngineDriver(await openEngine(t, modelDir, dtype), {})
    const { driver } = together
    const aborted = new Set<string>()
    for (let next = 0; next < requests.length;) {
      const message = requests[random.int(next + 1)]!
      if (random.next() < 0.35) driver.deliver(requests[next++]!)
      else if (random.next() < 0.04 && next > 0) {
        const { requestId, epoch, emittedIds } = message
        const sequence = random.int(emittedIds.length)
        aborted.add(`${requestId}#${sequence}`)
        driver.deliver({ kind: 'abort', requestId, epoch, sequence })
      } else if (driver.command !== null) await together.completeStep()
      else driver.advance(5)
    }
    await together.runToIdle()
    for (const [name, tokenIds] of expected) {
      const [requestId, sequence] = name.split('#') as [string, string]
      const choice = driver.choice(requestId, Number(sequence))
      const got = [...choice.tokenIds]
      assert.deepEqual(got, aborted.has(name) ? tokenIds.slice(0, got.length) : tokenIds, name)
    }
    driver.advance(11_000)
    driver.deliver({ kind: 'hello' })
    const load = driver.sent.at(-1)!.payload as LoadMessage
    assert.deepEqual([load.numRunning, load.numWaiting, load.freeBlocks + load.cachedBlocks], [0, 0, load.totalBlocks])
    assert.ok(load.preemptionsTotal > 1 && load.prefixHitTokensTotal > 50 && aborted.size > 0, `preemptions ${load.preemptionsTotal}, hits ${load.prefixHitTokensTotal}, aborts ${aborted.size}`)
  })
}
