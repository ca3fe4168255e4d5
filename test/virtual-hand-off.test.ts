// The distributed cluster's actors under virtual time: prompts computed on one instance, tokens on another, while messages
// get lost, transfers break off and processes are killed, stand still and are cut off. Seeded; the seed is printed with every failure.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { dispatchPolicy } from '@rubato/policy'
import type { SimCluster, SimRequestRecord } from '@rubato/service-rubato/simulated'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { checkRecord, drawRequest, virtualCluster } from './support/virtual-cluster.ts'

const ROLES = ['prefill', 'prefill', 'decode', 'decode'] as const

/** Ratios per request that comes; 0 where absent. */
interface Disturbance {
  readonly lossRatio?: number
  readonly kvCutRatio?: number
  readonly killRatio?: number
  readonly freezeRatio?: number
  readonly partitionRatio?: number
  readonly brokerRatio?: number
  /** Live requests told to move. */
  readonly numMoves?: number
}

interface Run {
  readonly seed: number
  readonly numRequests: number
  readonly disturbance: Disturbance
  readonly onTrace?: (line: string) => void
}

function migrate(cluster: SimCluster, records: readonly SimRequestRecord[], random: SeededRandom): void {
  const { instances } = cluster.running()
  const from = instances[random.int(instances.length)]
  const to = instances[random.int(instances.length)]
  if (from === undefined || to === undefined) return
  const record = random.next() < 0.5 ? records[records.length - 1 - random.int(Math.min(8, records.length))] : undefined
  cluster.migrate(from, to, { requestId: record?.requestId ?? null, forMs: random.int(3) * 30 })
}

function disturb(cluster: SimCluster, { killRatio = 0, freezeRatio = 0, partitionRatio = 0, brokerRatio = 0 }: Disturbance, random: SeededRandom): void {
  const { instances, routers } = cluster.running()
  const processes = [...instances, ...routers]
  const someone = (): string => processes[random.int(processes.length)]!
  const spared = [...(instances.length > 1 ? instances : []), ...(routers.length > 1 ? routers : [])]
  if (random.next() < killRatio && spared.length > 0) cluster.kill(spared[random.int(spared.length)]!, { restartMs: 500 + random.int(4000) })
  if (random.next() < freezeRatio) cluster.freeze(someone(), 50 + random.int(4000))
  if (random.next() < partitionRatio) cluster.partition([someone(), someone()], 50 + random.int(5000))
  if (random.next() < brokerRatio) cluster.restartBroker(50 + random.int(4000))
}

function run({ seed, numRequests, disturbance, onTrace }: Run): SimCluster {
  const label = `seed ${seed}`
  const random = seededRandom(seed)
  const placement = random.next() < 0.5 ? 'disaggregated' : 'auto'
  const cluster = virtualCluster({
    seed, numRouters: 2, roles: ROLES, dispatch: dispatchPolicy('slo', { placement }), maxMigrations: 1 + random.int(3), ...(onTrace === undefined ? {} : { onTrace }),
  })
  const { lossRatio = 0, kvCutRatio = 0, numMoves = 0 } = disturbance
  cluster.setLinkFaults({ lossRatio, kvCutRatio })
  const records: SimRequestRecord[] = []
  for (let index = 0; index < numRequests; index++) {
    const record = cluster.submit(drawRequest(random, index, { hasLimits: false }))
    records.push(record)
    cluster.world.runFor(random.int(60))
    for (let moves = random.int(1 + 2 * numMoves); moves > 0; moves--) {
      migrate(cluster, records, random)
      cluster.world.runFor(random.int(6))
    }
    if (random.next() < 0.08) cluster.cancel(record)
    disturb(cluster, disturbance, random)
  }
  assert.deepEqual(cluster.crashes, [], label)
  const finished = cluster.world.runUntil(() => cluster.numOpen === 0 || cluster.crashes.length > 0, 1e6)
  assert.deepEqual(cluster.crashes, [], label)
  const stuck = records.filter(({ end }) => end === null).map(({ requestId }) => requestId)
  assert.ok(finished, `${label}: never ended: ${stuck.join(' ')}`)
  cluster.setLinkFaults({ lossRatio: 0 })
  cluster.world.runFor(120_000)
  assert.deepEqual(cluster.crashes, [], label)
  for (const record of records) {
    assert.notEqual(record.end, 'failed', `${label}: ${record.requestId}: ${record.error}`)
    checkRecord(record, label)
  }
  cluster.assertIdle(label)
  return cluster
}

/** Live requests that instances which still live took from others. */
function numMoved(cluster: SimCluster): number {
  return cluster.loads().reduce((sum, { load }) => sum + (load?.migrations.inTotal ?? 0), 0)
}

test('undisturbed: prompts move to decode instances, and every token is the one a single instance gives', () => {
  const cluster = run({ seed: testSeed(31), numRequests: 300, disturbance: {} })
  assert.ok(cluster.traffic().kvBytes > 0, 'nothing was handed over')
})

test('lost messages and broken transfers delay tokens, and lose or repeat none', () => {
  for (const offset of [0, 1, 2]) run({ seed: testSeed(41) + offset, numRequests: 150, disturbance: { lossRatio: 0.02, kvCutRatio: 0.15 } })
})

test('killed routers and instances: every client finishes with the tokens of the undisturbed run', () => {
  for (const offset of [0, 1, 2, 3]) run({ seed: testSeed(51) + offset, numRequests: 150, disturbance: { lossRatio: 0.005, kvCutRatio: 0.05, killRatio: 0.02 } })
})

test('undisturbed: live requests move from instance to instance and no token changes', () => {
  const cluster = run({ seed: testSeed(61), numRequests: 200, disturbance: { numMoves: 3 } })
  assert.ok(numMoved(cluster) > 50, `live requests moved (${numMoved(cluster)})`)
})

test('live requests move while messages are lost, transfers break off and processes are killed', () => {
  for (const offset of [0, 1]) run({ seed: testSeed(71) + offset, numRequests: 120, disturbance: { lossRatio: 0.02, kvCutRatio: 0.15, numMoves: 3 } })
  for (const offset of [0, 1, 2]) run({ seed: testSeed(81) + offset, numRequests: 120, disturbance: { lossRatio: 0.005, kvCutRatio: 0.05, killRatio: 0.02, numMoves: 3 } })
})

test('processes stand still, are cut off and lose their leases: who was fenced comes back anew, and no token is lost or repeated', () => {
  let numFenced = 0
  for (const offset of [0, 1]) {
    const cluster = run({ seed: testSeed(91) + offset, numRequests: 100, disturbance: { freezeRatio: 0.04, partitionRatio: 0.04, lossRatio: 0.005, numMoves: 1 } })
    numFenced += cluster.numFenced
  }
  assert.ok(numFenced > 0, 'nobody was fenced')
})

test('the broker restarts and forgets everybody: who lives keeps its place, and no token is lost or repeated', () => {
  for (const offset of [0, 1]) run({ seed: testSeed(95) + offset, numRequests: 80, disturbance: { brokerRatio: 0.03, killRatio: 0.02, numMoves: 1 } })
})

test('same seed, same cluster, same faults: the same events to the last byte', () => {
  const seed = testSeed(99)
  const disturbance = { lossRatio: 0.01, kvCutRatio: 0.1, killRatio: 0.03, freezeRatio: 0.03, partitionRatio: 0.03, brokerRatio: 0.02, numMoves: 2 }
  const traced = (of: number): string => {
    const hash = createHash('sha256')
    let numLines = 0
    run({ seed: of, numRequests: 40, disturbance, onTrace: (line) => { hash.update(`${line}\n`); numLines += 1 } })
    assert.ok(numLines > 5_000, `${numLines} lines`)
    return hash.digest('hex')
  }
  const first = traced(seed)
  assert.equal(traced(seed), first, `seed ${seed}`)
  assert.notEqual(traced(seed + 1), first, `seed ${seed}`)
})
