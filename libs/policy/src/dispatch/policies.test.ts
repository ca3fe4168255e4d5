import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { CPU_MODEL, idsOf, instanceOf, requestOf, withAdded } from './fixtures/cluster.ts'
import { DISPATCH_POLICY_NAMES, dispatchPolicy, isDispatchPolicyName, isPlacementName, PLACEMENT_NAMES } from './policies.ts'
import type { DispatchInstance, DispatchPolicy, DispatchRequest } from './snapshot.ts'

const ROLES = ['prefill', 'decode', 'mixed'] as const

function randomInstances(random: SeededRandom): DispatchInstance[] {
  return Array.from({ length: random.int(20) }, (_, index) => instanceOf(`instance-${index}`, {
    role: random.pick(ROLES), pendingPrefillTokens: random.int(5) * 400, numSequences: random.int(30), contextTokens: random.int(20_000),
    availableBlocks: random.int(2_000), freenessBlocks: random.int(200) - 20, hitTokens: random.int(3) * 200, shipsKv: random.int(4) > 0,
    costModel: random.int(3) > 0 ? { ...CPU_MODEL, correctionRatio: 0.5 + random.next() } : null,
    pullBytesPerSec: random.int(2) === 0 ? null : 1e6 + random.int(1e9),
  }))
}

function randomRequest(random: SeededRandom, ordinal: number): DispatchRequest {
  return requestOf({
    requestId: `request-${random.int(1e9)}`, ordinal, promptTokens: 1 + random.int(3_000), emittedTokens: random.int(5) === 0 ? random.int(50) : 0,
    maxNewTokens: 1 + random.int(300), numChoices: 1 + random.int(3), ttftMs: random.int(2) === 0 ? null : random.int(2_000) + 1, tpotMs: random.int(2) === 0 ? null : random.int(50) + 1,
  })
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  return items.map((item) => ({ item, order: random.next() })).sort((a, b) => a.order - b.order).map(({ item }) => item)
}

function everyPolicy(check: (policy: DispatchPolicy, label: string) => void): void {
  for (const name of DISPATCH_POLICY_NAMES) for (const placement of PLACEMENT_NAMES) check(dispatchPolicy(name, { placement }), `${name} ${placement}`)
}

test('names are checked', () => {
  assert.ok(isDispatchPolicyName('slo') && !isDispatchPolicyName('toString') && isPlacementName('auto') && !isPlacementName('random'))
  assert.throws(() => dispatchPolicy('best', { placement: 'auto' }), /slo, freeness, jsq, kv-aware, round-robin/)
})

test('a decision names instances that were offered, is the same in any order, and is none only for none', () => {
  const seed = testSeed(21)
  const random = seededRandom(seed)
  for (let round = 0; round < 300; round += 1) {
    const instances = randomInstances(random)
    const request = randomRequest(random, round)
    const reordered = shuffled(instances, random)
    everyPolicy((policy, label) => {
      const decision = policy(request, instances)
      const where = `seed ${seed} round ${round} ${label}`
      assert.equal(decision.kind === 'none', instances.length === 0, where)
      for (const id of idsOf(decision)) assert.ok(instances.some(({ instanceId }) => instanceId === id), where)
      assert.deepEqual(policy(request, reordered), decision, where)
    })
  }
})

test('a pair is two instances that ship, of roles that fit, and never for a recovery or a single token', () => {
  const seed = testSeed(22)
  const random = seededRandom(seed)
  let numPairs = 0
  for (let round = 0; round < 300; round += 1) {
    const instances = randomInstances(random)
    const request = randomRequest(random, round)
    everyPolicy((policy, label) => {
      const decision = policy(request, instances)
      if (decision.kind !== 'disaggregated') return
      numPairs += 1
      const where = `seed ${seed} round ${round} ${label}`
      const [prefill, decode] = [decision.prefillId, decision.decodeId].map((id) => instances.find(({ instanceId }) => instanceId === id)!)
      assert.ok(prefill !== decode && prefill!.shipsKv && decode!.shipsKv, where)
      assert.ok(prefill!.role !== 'decode' && decode!.role !== 'prefill', where)
      assert.ok(request.emittedTokens === 0 && request.maxNewTokens > 1 && !label.endsWith('colocated'), where)
    })
  }
  assert.ok(numPairs > 100)
})

test('disaggregated placement forms a pair whenever two instances could', () => {
  const seed = testSeed(23)
  const random = seededRandom(seed)
  for (let round = 0; round < 300; round += 1) {
    const instances = randomInstances(random)
    const request = { ...randomRequest(random, round), emittedTokens: 0, maxNewTokens: 50 }
    const ships = instances.filter(({ shipsKv }) => shipsKv)
    const exists = ships.some((a) => a.role !== 'decode' && ships.some((b) => a !== b && b.role !== 'prefill'))
    for (const name of DISPATCH_POLICY_NAMES) {
      const decision = dispatchPolicy(name, { placement: 'disaggregated' })(request, instances)
      assert.equal(decision.kind === 'disaggregated', exists, `seed ${seed} round ${round} ${name}`)
    }
  }
})

test('more load elsewhere does not draw a request there', () => {
  const seed = testSeed(24)
  const random = seededRandom(seed)
  for (let round = 0; round < 300; round += 1) {
    const instances = Array.from({ length: 2 + random.int(8) }, (_, index) => instanceOf(`instance-${index}`, {
      pendingPrefillTokens: random.int(2_000), numSequences: random.int(20), contextTokens: random.int(10_000), freenessBlocks: random.int(100),
    }))
    const request = requestOf({ requestId: `request-${round}`, promptTokens: 1 + random.int(1_000) })
    for (const name of ['slo', 'freeness', 'jsq', 'kv-aware']) {
      const policy = dispatchPolicy(name, { placement: 'colocated' })
      const [before] = idsOf(policy(request, instances))
      const other = instances.find(({ instanceId }) => instanceId !== before)!
      const [after] = idsOf(policy(request, withAdded(instances, request, { kind: 'colocated', instanceId: other.instanceId, forecast: { ttftMs: null, tpotMs: null } })))
      assert.notEqual(after, other.instanceId, `seed ${seed} round ${round} ${name}`)
    }
  }
})

test('automatic placement never ships between two mixed instances', () => {
  const seed = testSeed(25)
  const random = seededRandom(seed)
  for (let round = 0; round < 300; round += 1) {
    const instances = randomInstances(random)
    const request = randomRequest(random, round)
    for (const name of DISPATCH_POLICY_NAMES) {
      const ids = idsOf(dispatchPolicy(name, { placement: 'auto' })(request, instances))
      const roles = ids.map((id) => instances.find(({ instanceId }) => instanceId === id)!.role)
      assert.notDeepEqual(roles, ['mixed', 'mixed'], `seed ${seed} round ${round} ${name}`)
    }
  }
})

test('degenerate figures still give a decision', () => {
  const free = { decode: { fixedMs: 0, perSequenceMs: 0, perNodeMs: 0, perContextTokenMs: 0 }, cell: { fixedMs: 0, perTokenMs: 0, perPairMs: 0 }, correctionRatio: 1 }
  for (const costModel of [free, { ...CPU_MODEL, decode: free.decode }, { ...CPU_MODEL, cell: free.cell }]) {
    for (const changes of [{}, { pendingPrefillTokens: 500, numSequences: 3, contextTokens: 900 }, { hitTokens: 512, pullBytesPerSec: 0 }, { totalBlocks: 0, availableBlocks: 0 }]) {
      const instances = ROLES.map((role) => instanceOf(role, { role, costModel, ...changes }))
      for (const targets of [{}, { ttftMs: 0, tpotMs: 0 }, { tpotMs: 1 }, { maxNewTokens: 0 }, { promptTokens: 1 }]) {
        everyPolicy((policy, label) => assert.notEqual(policy(requestOf(targets), instances).kind, 'none', label))
      }
    }
  }
})
