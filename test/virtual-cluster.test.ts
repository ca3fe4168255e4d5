// The embedded cluster's own actors, router and instance, under virtual time: a long seeded workload of arrivals, stops,
// cancels, preemptions and evictions, with every block accounted for after every message.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SimRequestRecord } from '@rubato/service-rubato/simulated'
import { checkRecord, drawRequest, virtualCluster } from './support/virtual-cluster.ts'

test('2,000 requests in virtual time: every block is accounted for at every message, and free or cached at the end', () => {
  const seed = testSeed(20_261)
  const label = `seed ${seed}`
  const random = seededRandom(seed)
  const cluster = virtualCluster({ seed, roles: ['mixed'] })
  const records: SimRequestRecord[] = []
  for (let index = 0; index < 2000; index++) {
    records.push(cluster.submit(drawRequest(random, index, { hasLimits: true })))
    cluster.world.runFor(random.int(60))
    if (random.next() < 0.1) cluster.cancel(records[random.int(index + 1)]!)
  }
  assert.deepEqual(cluster.crashes, [], label)
  assert.ok(cluster.world.runUntil(() => cluster.numOpen === 0, 1e7), `${label}: ${cluster.numOpen} requests never ended`)
  cluster.world.runFor(60_000)
  for (const record of records) checkRecord(record, label)
  cluster.assertIdle(label)
  const [model] = cluster.routers()[0]!.actor.snapshot().models
  const { fleet, stats } = model!
  const { stop, length, cancelled, deadline, ...others } = stats.requestsByOutcome
  assert.equal(stop + length + cancelled + deadline, 2000, `${label}: ${JSON.stringify(others)}`)
  for (const [what, count] of Object.entries({ stop, length, cancelled, deadline, preemptions: fleet.preemptionsTotal, hits: fleet.prefixHitTokensTotal })) {
    assert.ok(count > 50, `${label}: the workload hardly met any ${what}: ${count}`)
  }
})
