// A request that kills whatever begins it, in virtual time and among others: it costs exactly as many instances as it may, and
// nobody else is blamed, however messages are lost and whatever else is on the instances that die.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineCommand } from '@rubato/model'
import { dispatchPolicy } from '@rubato/policy'
import type { ClientRequest } from '@rubato/service-router'
import type { SimDeath, SimRequestRecord } from '@rubato/service-rubato/simulated'
import { seededRandom, testSeed } from '@rubato/testing'
import { checkRecord, virtualCluster } from './support/virtual-cluster.ts'

const NUM_REQUESTS = 60
const POISON_TOKEN = 999
/** Of the cluster's routers. */
const MIGRATION_LIMIT = 3

/** admit: it computes the prompt. join: it takes the prompt's KV over. */
interface Poison {
  readonly kills: SimDeath
  readonly at: 'admit' | 'join'
}

function requestOf(requestId: string, tokenIds: readonly number[], maxTokens: number): ClientRequest {
  return {
    requestId, model: '', input: { kind: 'tokens', tokenIds },
    sampling: {
      maxTokens, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
      logitBias: [], seed: 1, stopTokenIds: [], ignoreEos: true, logprobs: null,
    },
    n: 1, stop: [], slo: { ttftMs: null, tpotMs: null }, priority: 0, cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
  }
}

/** The deaths, and how the poison ended. */
function run(seed: number, { kills, at }: Poison, lossRatio: number): { readonly numDeaths: number; readonly error: string | null } {
  const label = `seed ${seed}, ${kills} at ${at}, loss ${lossRatio}`
  const random = seededRandom(seed)
  let numDeaths = 0
  const deathOf = (command: EngineCommand): SimDeath | null => {
    const isDeath = command.kind === 'step' && command.admit.some(({ promptIds, kvTokens }) => promptIds.includes(POISON_TOKEN) && (at === 'admit' || kvTokens !== undefined))
    numDeaths += Number(isDeath)
    return isDeath ? kills : null
  }
  const placement = at === 'join' || random.next() < 0.5 ? 'disaggregated' : 'auto'
  const cluster = virtualCluster({ seed, numRouters: 2, roles: ['prefill', 'prefill', 'decode', 'decode'], dispatch: dispatchPolicy('slo', { placement }), deathOf })
  cluster.setLinkFaults({ lossRatio })
  const poisonPlace = random.int(NUM_REQUESTS)
  const records: SimRequestRecord[] = []
  for (let index = 0; index < NUM_REQUESTS; index += 1) {
    const prompt = Array.from({ length: 8 + random.int(100) }, (_, place) => (index === poisonPlace && place === 3 ? POISON_TOKEN : 100 + random.int(700)))
    records.push(cluster.submit(requestOf(`q${index}`, prompt, 1 + random.int(40))))
    cluster.world.runFor(random.int(40))
  }
  assert.ok(cluster.world.runUntil(() => cluster.numOpen === 0, 1e6), `${label}: never ended`)
  cluster.setLinkFaults({ lossRatio: 0 })
  cluster.world.runFor(60_000)
  assert.deepEqual(cluster.crashes, [], label)
  for (const [index, record] of records.entries()) {
    checkRecord(record, label)
    if (index !== poisonPlace || at === 'join') assert.equal(record.end, 'finished', `${label}: ${record.requestId} ended ${record.end}: ${record.error}`)
  }
  cluster.assertIdle(label)
  return { numDeaths, error: records[poisonPlace]!.error }
}

for (const kills of ['process', 'engine'] as const) {
  test(`a request that is the death of every ${kills} that begins it costs ${MIGRATION_LIMIT} of them, and nobody else is blamed`, () => {
    for (const [place, lossRatio] of [0, 0, 0.02, 0.02, 0.1, 0.1].entries()) {
      const seed = testSeed(9001) + place
      const { numDeaths, error } = run(seed, { kills, at: 'admit' }, lossRatio)
      assert.match(error ?? '', /^request_quarantined/, `seed ${seed}`)
      assert.equal(numDeaths, MIGRATION_LIMIT, `seed ${seed}`)
    }
  })
}

test('a request that is the death of whoever takes it over is computed in one place in the end', () => {
  let numDeathsInAll = 0
  for (const [place, lossRatio] of [0, 0, 0.02].entries()) {
    const seed = testSeed(9101) + place
    const { numDeaths } = run(seed, { kills: place % 2 === 0 ? 'process' : 'engine', at: 'join' }, lossRatio)
    assert.ok(numDeaths <= MIGRATION_LIMIT, `seed ${seed}: ${numDeaths} deaths`)
    numDeathsInAll += numDeaths
  }
  assert.ok(numDeathsInAll > 0, 'nobody died')
})
